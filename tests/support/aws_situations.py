"""Situations in which a program looks for AWS credentials, for boto3 and runner to be asked about."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Situation:
    """The environment and files of one; ``source`` is the one that must be found, None if none may be.

    In every text ``@URL`` stands for the stand-in of AWS's servers, ``@TLS`` for the one that speaks TLS, and ``@HOME``
    for the home.
    """

    source: str | None
    environ: dict[str, str] = field(default_factory=dict)
    credentials: str = ""
    config: str = ""
    files: dict[str, str] = field(default_factory=dict)


def laid_out(one: Situation, home: Path, places: dict[str, str]) -> dict[str, str]:
    """Write a situation's files into its home, and give its environment."""

    def filled(text: str) -> str:
        for word, meant in (places | {"@HOME": str(home), "@PYTHON": sys.executable}).items():
            text = text.replace(word, meant)
        return text

    for name, text in {".aws/credentials": one.credentials, ".aws/config": one.config, **one.files}.items():
        if text:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(filled(text))
    return {name: filled(text) for name, text in (ALWAYS | one.environ).items() if text != UNSET}


UNSET = "@UNSET"
ALWAYS = {
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "@URL",
    "AWS_ENDPOINT_URL_STS": "@URL",
    "AWS_ENDPOINT_URL_SSO": "@URL",
    "AWS_ENDPOINT_URL_S3": "@URL",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
PAIR = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "s"}
SHARED = """[default]
aws_access_key_id=AKIDSHARED
aws_secret_access_key=s
[other]
aws_access_key_id=AKIDOTHER
aws_secret_access_key=100%s
aws_session_token=t
"""
OWN = """[default]
aws_access_key_id=AKIDOWN
aws_secret_access_key=s
[profile mine]
aws_access_key_id=AKIDMINE
aws_secret_access_key=s
"""
ROLE = "role_arn=arn:aws:iam::1:role/r\n"
WEB = {"AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME/web", "AWS_ROLE_ARN": "arn:aws:iam::1:role/web"}
WEB_TLS = WEB | {"AWS_ENDPOINT_URL_STS": "@TLS", "AWS_CA_BUNDLE": "@CA"}
TOKENS = {"web": "web-token", "pod": "pod-token", "lines": "pod-token\n"}
POD = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "@URL/creds",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "@HOME/pod",
}
GIVES = 'import json; print(json.dumps({"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "s"}))'
WITH_END = GIVES.replace('"s"}', '"s", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z"}')
SSO = "sso_session=corp\nsso_account_id=123456789012\nsso_role_name=reader\n"
SESSION = "[sso-session corp]\nsso_start_url=https://corp.example/start\nsso_region=eu-central-1\n"
LEGACY = "sso_start_url=https://corp.example/start\nsso_region=eu-central-1\nsso_account_id=1\nsso_role_name=reader\n"


def _cached(name: str, until: str = "2099-01-01T00:00:00Z") -> dict[str, str]:
    token = {"accessToken": "sso-token", "expiresAt": until, "region": "eu-central-1"}
    file = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return {f".aws/sso/cache/{file}.json": json.dumps(token | {"startUrl": "https://corp.example/start"})}


SITUATIONS: dict[str, Situation] = {
    "nothing, on a machine with a role": Situation("instance metadata"),
    "nothing, and metadata disabled": Situation(None, {"AWS_EC2_METADATA_DISABLED": "true"}),
    "nothing, and no metadata": Situation(None, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9"}),
    "metadata behind a hop limit": Situation(None, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "@SILENT"}),
    "metadata of version 1": Situation("instance metadata, version 1", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "@OLD"}),
    "metadata of version 1, which is disabled": Situation(
        None, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "@OLD", "AWS_EC2_METADATA_V1_DISABLED": "true"}
    ),
    "metadata without a role": Situation(None, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "@BARE"}),
    "metadata named by the profile": Situation(
        "instance metadata",
        {"AWS_EC2_METADATA_SERVICE_ENDPOINT": UNSET},
        config="[default]\nec2_metadata_service_endpoint=@URL\n",
    ),
    "keys": Situation("environment", PAIR),
    "keys with a token": Situation("environment", PAIR | {"AWS_SESSION_TOKEN": "t"}),
    "keys that last": Situation("environment", PAIR | {"AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"}),
    "keys that have expired": Situation(None, PAIR | {"AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}),
    "half of the keys": Situation(None, {"AWS_ACCESS_KEY_ID": "AKIDENV"}),
    "half of the keys, empty": Situation(None, {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": ""}),
    "a secret alone": Situation("instance metadata, version 1", {"AWS_SECRET_ACCESS_KEY": "s"}),
    "an empty key": Situation("shared credentials file", {"AWS_ACCESS_KEY_ID": ""}, SHARED),
    "an empty key, and a role": Situation("instance metadata, version 1", {"AWS_ACCESS_KEY_ID": ""}),
    "keys and a profile": Situation("environment", PAIR | {"AWS_PROFILE": "other"}, SHARED),
    "keys and a profile that is nowhere": Situation(None, PAIR | {"AWS_PROFILE": "absent"}, SHARED),
    "a profile that is nowhere": Situation(None, {"AWS_PROFILE": "absent"}),
    "an empty profile's name": Situation(None, {"AWS_PROFILE": ""}, SHARED),
    "two profiles' names": Situation(
        "config file", {"AWS_PROFILE": "other", "AWS_DEFAULT_PROFILE": "mine"}, SHARED, OWN
    ),
    "a profile of the config file, wrongly titled": Situation(
        None, {"AWS_PROFILE": "mine"}, config="[mine]\nregion=x\n"
    ),
    "a profile with nothing in it": Situation("instance metadata", {"AWS_PROFILE": "e"}, config="[profile e]\n"),
    "the shared file": Situation("shared credentials file", credentials=SHARED),
    "the shared file elsewhere": Situation(
        "shared credentials file", {"AWS_SHARED_CREDENTIALS_FILE": "~/else"}, files={"else": SHARED}
    ),
    "the shared file by a variable": Situation(
        "shared credentials file", {"AWS_SHARED_CREDENTIALS_FILE": "$HOME/else"}, files={"else": SHARED}
    ),
    "half of the keys in the shared file": Situation(None, credentials="[default]\naws_access_key_id=AKID\n"),
    "a shared file that is none": Situation(None, credentials="no section"),
    "keys, and a config file that is none": Situation(None, PAIR, config="no section"),
    "the config file": Situation("config file", config=OWN),
    "both files": Situation("shared credentials file", credentials=SHARED, config=OWN),
    "the config file's default under its long name": Situation(
        "config file", config="[profile default]\naws_access_key_id=AKIDLONG\naws_secret_access_key=s\n" + OWN
    ),
    "a process": Situation(
        "credential process", config="[default]\ncredential_process=@PYTHON @HOME/gives.py\n", files={"gives.py": GIVES}
    ),
    "a process whose keys end": Situation(
        "credential process", config="[default]\ncredential_process=@PYTHON @HOME/g.py\n", files={"g.py": WITH_END}
    ),
    "a process that fails": Situation(None, config="[default]\ncredential_process=false\n"),
    "a process that is nowhere": Situation(None, config="[default]\ncredential_process=/no/such/program\n"),
    "a process, and keys beside it": Situation(
        "credential process",
        config=OWN.replace("[profile", "credential_process=@PYTHON @HOME/g.py\n[profile"),
        files={"g.py": GIVES},
    ),
    "a role from a profile": Situation(
        "assumed role", {"AWS_PROFILE": "r"}, config=OWN + f"[profile r]\n{ROLE}source_profile=mine\n"
    ),
    "a role from a profile of the other file": Situation(
        "assumed role", {"AWS_PROFILE": "r"}, SHARED, f"[profile r]\n{ROLE}source_profile=other\n"
    ),
    "a role of a role": Situation(
        "assumed role",
        {"AWS_PROFILE": "q"},
        SHARED,
        f"[profile r]\n{ROLE}source_profile=other\n[profile q]\nrole_arn=arn:aws:iam::1:role/q\nsource_profile=r\n",
    ),
    "a role, and its own keys": Situation(
        "assumed role", credentials=SHARED, config=f"[default]\n{ROLE}source_profile=default\n"
    ),
    "a role from the environment": Situation(
        "environment", PAIR | {"AWS_PROFILE": "r"}, config=f"[profile r]\n{ROLE}credential_source=Environment\n"
    ),
    "a role from the machine": Situation(
        "assumed role", {"AWS_PROFILE": "r"}, config=f"[profile r]\n{ROLE}credential_source=Ec2InstanceMetadata\n"
    ),
    "a role from the container": Situation(
        "assumed role",
        POD | {"AWS_PROFILE": "r"},
        config=f"[profile r]\n{ROLE}credential_source=EcsContainer\n",
        files=TOKENS,
    ),
    "a role from nowhere": Situation(None, config=f"[default]\n{ROLE}"),
    "a role from a profile that is nowhere": Situation(None, config=f"[default]\n{ROLE}source_profile=absent\n"),
    "a role from two places": Situation(
        None, config=f"{OWN}[profile default]\n{ROLE}source_profile=mine\ncredential_source=Environment\n"
    ),
    "a forbidden role": Situation(
        None,
        {"AWS_PROFILE": "f"},
        SHARED,
        "[profile f]\nrole_arn=arn:aws:iam::1:role/forbidden\nsource_profile=other\n",
    ),
    "web identity": Situation("web identity", WEB_TLS, files=TOKENS),
    "web identity with a session's name": Situation(
        "web identity", WEB_TLS | {"AWS_ROLE_SESSION_NAME": "me"}, files=TOKENS
    ),
    "web identity through plain HTTP": Situation("web identity in a profile", WEB, files=TOKENS),
    "web identity, and a profile": Situation("web identity", WEB_TLS | {"AWS_PROFILE": "other"}, SHARED, files=TOKENS),
    "web identity without a role": Situation(None, {"AWS_WEB_IDENTITY_TOKEN_FILE": "@HOME/web"}, files=TOKENS),
    "web identity without its token": Situation(None, WEB),
    "web identity, forbidden": Situation(
        None, WEB_TLS | {"AWS_ROLE_ARN": "arn:aws:iam::1:role/forbidden"}, files=TOKENS
    ),
    "web identity with no token's name": Situation(
        "instance metadata, version 1", WEB | {"AWS_WEB_IDENTITY_TOKEN_FILE": ""}
    ),
    "web identity in a profile": Situation(
        "web identity in a profile", config=f"[default]\n{ROLE}web_identity_token_file=@HOME/web\n", files=TOKENS
    ),
    "a role whose source is web identity": Situation(
        "assumed role",
        {"AWS_PROFILE": "r"},
        config=f"[profile r]\n{ROLE}source_profile=w\n[profile w]\n{ROLE}web_identity_token_file=@HOME/web\n",
        files=TOKENS,
    ),
    "SSO": Situation("SSO", config=f"[default]\n{SSO}{SESSION}", files=_cached("corp")),
    "SSO, and keys beside it": Situation(
        "SSO", credentials=SHARED, config=f"[default]\n{SSO}{SESSION}", files=_cached("corp")
    ),
    "SSO of the old kind": Situation("SSO", config=f"[default]\n{LEGACY}", files=_cached("https://corp.example/start")),
    "SSO without a login": Situation(None, config=f"[default]\n{SSO}{SESSION}"),
    "SSO whose login has expired": Situation(
        None, config=f"[default]\n{LEGACY}", files=_cached("https://corp.example/start", "2020-01-01T00:00:00Z")
    ),
    "SSO without its session": Situation(None, config=f"[default]\n{SSO}"),
    "a console login without its cache": Situation(None, config="[default]\nlogin_session=arn:aws:iam::1:user/me\n"),
    "a pod": Situation("container endpoint", POD, files=TOKENS),
    "a pod, and a machine's files": Situation("shared credentials file", POD, SHARED, files=TOKENS),
    "a pod whose token is refused": Situation(None, POD, files={"pod": "other"}),
    "a pod whose token has two lines": Situation(
        None, POD | {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "@HOME/lines"}, files=TOKENS
    ),
    "a pod without its token": Situation(None, POD),
    "a container with its token in a variable": Situation(
        "container endpoint of another kind",
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "@URL/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "pod-token"},
    ),
    "a container far away": Situation(
        None, POD | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://creds.example/creds"}, files=TOKENS
    ),
    "boto's old file": Situation(
        "boto's old files", files={".boto": "[Credentials]\naws_access_key_id=AKIDOLD\naws_secret_access_key=s\n"}
    ),
    "EC2's old file": Situation(
        "boto's old files",
        {"AWS_CREDENTIAL_FILE": "@HOME/ec2"},
        files={"ec2": "AWSAccessKeyId=AKIDEC2\nAWSSecretKey=s\n"},
    ),
}


def _mixed() -> dict[str, Situation]:
    """Whether each of the more usual sources is there, or not: the first of them must win."""
    found = {}
    for keys, web, shared, process, pod in itertools.product((False, True), repeat=5):
        environ = (PAIR if keys else {}) | (WEB_TLS if web else {}) | (POD if pod else {})
        config = "[default]\ncredential_process=@PYTHON @HOME/g.py\n" if process else ""
        there = {
            "environment": keys,
            "web identity": web,
            "shared credentials file": shared,
            "credential process": process,
            "container endpoint": pod,
        }
        names = [name for name, is_there in there.items() if is_there]
        if len(names) > 1:
            files = TOKENS | {"g.py": GIVES}
            found["; ".join(names)] = Situation(names[0], environ, SHARED if shared else "", config, files)
    return found


SITUATIONS |= _mixed()
