"""Values of variables as people have them: with what an env file, a mounted secret or an editor added, or misplaced.

Right is what the cloud's own SDK makes of them, or a refusal that names the variable.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import pytest
from azure.storage.blob import ContainerClient

from runner import errors
from runner.backends import open_storage
from runner.backends.azure.credentials import find_azure
from runner.backends.redirects import has_bucket
from runner.location import parse_location
from runner.secrets.named import resolve
from support.command_line import run_command
from support.contract import impatient
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from runner.backends.base import Storage
    from support.places import Place

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "s" * 40,
    "AWS_SESSION_TOKEN": "tokenexample",
    "AWS_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
}
ACCOUNT_KEY = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"
# How a value gets to be so, and who met it.
UNCLEAN = {
    # https://github.com/argoproj/argo-workflows/issues/981, https://github.com/argoproj/argo-events/issues/209
    "newline": "{}\n",
    "CRLF": "{}\r\n",  # https://github.com/openwpm/openwpm-crawler/issues/41
    "space": "{} ",  # https://github.com/longhorn/longhorn/issues/811
    "quotes": '"{}"',  # https://github.com/moby/moby/issues/46773, https://github.com/jef/streetmerchant/issues/1059
    "single quotes": "'{}'",  # https://github.com/18F/micropurchase/pull/1512
    "mark": "\ufeff{}",  # https://github.com/jdx/mise/pull/12320, https://github.com/earendil-works/pi/issues/7499
    "echo -n": "-n {}\n",  # https://github.com/boto/botocore/issues/2001
}
unclean = pytest.mark.parametrize("form", UNCLEAN.values(), ids=UNCLEAN)
on_s3 = pytest.mark.parametrize("backend", ["s3"], indirect=True)
on_azure = pytest.mark.parametrize("backend", ["azure"], indirect=True)
STRING = "AZURE_STORAGE_CONNECTION_STRING"


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(url: str, **environ: str) -> Storage:
    names = [name for name in ("AWS_CREDENTIALS", "AZURE_CREDENTIALS") if name in environ]
    return open_storage(parse_location(url), resolve(names, environ), environ, patience=1)


def boto3_opens(environ: dict[str, str]) -> bool:
    """Return whether boto3 gets as far as sending a request, with the keys as they are."""
    client: Any = boto3.client(
        "s3",
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environ["AWS_SESSION_TOKEN"],
        region_name=environ["AWS_REGION"],
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        config=botocore.config.Config(retries={"max_attempts": 0}, connect_timeout=1),
    )
    try:
        client.list_objects_v2(Bucket="b")
    except botocore.exceptions.EndpointConnectionError:
        return True
    return False


def test_clean_values_are_taken_by_runner_as_by_boto3() -> None:
    assert boto3_opens(KEYS)
    assert opened("s3://b", **KEYS).credential_source is not None


@unclean
@pytest.mark.parametrize("name", KEYS)
def test_what_was_added_to_a_value_of_aws_is_refused_by_name(name: str, form: str) -> None:
    with pytest.raises(errors.EnvironmentWrong, match=name) as raised:
        opened("s3://b", **KEYS | {name: form.format(KEYS[name])})
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("form", [UNCLEAN["newline"], UNCLEAN["quotes"]])
def test_boto3_refuses_it_as_well(name: str, form: str) -> None:
    with pytest.raises((ValueError, botocore.exceptions.BotoCoreError)):
        boto3_opens(KEYS | {name: form.format(KEYS[name])})


@unclean
@pytest.mark.parametrize("part", ["ACCESS_KEY", "SECRET_ACCESS_KEY", "SESSION_TOKEN"])
def test_what_was_added_inside_a_named_secret_is_refused_by_its_part(part: str, form: str) -> None:
    secret = {"ACCESS_KEY": "AKIDEXAMPLE", "SECRET_ACCESS_KEY": "s" * 40, "SESSION_TOKEN": "tokenexample"}
    secret[part] = form.format(secret[part])
    with pytest.raises(errors.EnvironmentWrong, match=f"{part} of the secret AWS_CREDENTIALS"):
        opened("s3://b", AWS_CREDENTIALS=json.dumps(secret))


@pytest.mark.parametrize(
    "endpoint",
    [
        "nonsense",
        "127.0.0.1:9000",
        "localhost:9000",
        "ftp://a",
        "http://",
        "http://a b",
        "http://a:99999",
        "http://a:b",
    ],
)
@pytest.mark.parametrize("arguments", [("run", "s3://b/k"), ("ls", "s3://b"), ("doctor", "s3://b")], ids=" ".join)
def test_an_endpoint_that_can_be_none_is_told_by_every_command(endpoint: str, arguments: tuple[str, ...]) -> None:
    """https://github.com/astral-sh/uv/pull/20372, https://github.com/nocodb/nocodb/issues/9757."""
    done = run_command({**KEYS, "AWS_ENDPOINT_URL": endpoint}, *arguments)
    assert done.code == 78, done
    assert "AWS_ENDPOINT_URL" in done.stdout + done.stderr
    assert "panic" not in done.stdout + done.stderr


def test_an_endpoint_of_a_profile_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "config").write_text('[default]\nendpoint_url = "http://127.0.0.1:1"\n')
    environ = {**KEYS, "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL": ""}
    with pytest.raises(errors.EnvironmentWrong, match="endpoint_url of the profile 'default'"):
        opened("s3://b", **environ)


def test_a_panic_of_obstores_never_leaves_the_storage() -> None:
    storage = opened("s3://b", **KEYS)

    class PanicException(BaseException):
        """What obstore's is called, which cannot be imported."""

    def panic(_store: object) -> None:
        raise PanicException("called `Result::unwrap()` on an `Err` value")

    with pytest.raises(errors.EnvironmentWrong, match="obstore panics"):
        storage._request("read", "key", panic)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["ls", "check", "run", "doctor"])
def test_a_name_that_obstore_panics_at_is_told_by_every_command(command: str) -> None:
    done = run_command(KEYS, command, "s3://my bucket/k")
    assert done.code == 78, done
    assert "s3://my bucket/" in done.stdout + done.stderr


@on_s3
def test_a_bucket_in_the_endpoint_is_told(place: Place) -> None:
    bucket, endpoint = parse_location(place.url).container, place.environ["AWS_ENDPOINT_URL"]
    with pytest.raises(errors.NotFound, match=f"has {bucket} in it"):
        opened(place.url, **place.environ | {"AWS_ENDPOINT_URL": f"{endpoint}/{bucket}"}).read("nothing")
    with pytest.raises(errors.NotFound) as raised:
        opened(place.url, **place.environ).read("nothing")
    assert "in it" not in str(raised.value)


@pytest.mark.parametrize(("virtual", "told"), [("false", True), ("true", False)])
def test_a_bucket_in_the_endpoints_host_is_told_where_it_does_not_belong_there(virtual: str, *, told: bool) -> None:
    environ = KEYS | {"AWS_ENDPOINT_URL": "http://b.s3.example.com", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": virtual}
    storage: Any = opened("s3://b", **environ)
    assert has_bucket(storage.endpoint, storage.container, storage._store_now().config) is told


@on_azure
def test_a_container_in_the_blob_endpoint_is_told(place: Place) -> None:
    container, string = parse_location(place.url).container, place.environ[STRING]
    parts = dict(part.split("=", 1) for part in string.strip(";").split(";"))
    parts["BlobEndpoint"] = f"{parts['BlobEndpoint'].rstrip('/')}/{container}"
    wrong = ";".join(f"{name}={value}" for name, value in parts.items())
    with pytest.raises(errors.NotFound, match=f"has {container} in it"):
        opened(place.url, **place.environ | {STRING: wrong}).read("nothing")


@on_azure
@pytest.mark.parametrize("form", ["{}\n", "{}\r\n", "\ufeff{}"], ids=["newline", "CRLF", "mark"])
def test_a_connection_string_that_azures_sdk_opens_is_opened(place: Place, form: str) -> None:
    string, container = form.format(place.environ[STRING].strip(";")), parse_location(place.url).container
    assert ContainerClient.from_connection_string(string, container).exists()
    assert list(opened(place.url, **place.environ | {STRING: string}).list_recursive("")) == []


@on_azure
@pytest.mark.parametrize("form", ["{}\n", '"{}"', "'{}'", "\ufeff{}", " {} "])
def test_a_key_that_azures_sdk_opens_is_opened(place: Place, form: str) -> None:
    """https://github.com/Azure/azure-storage-node/issues/619, https://github.com/Azure/azure-cli/issues/940."""
    parts = dict(part.split("=", 1) for part in place.environ[STRING].strip(";").split(";"))
    parts["AccountKey"] = form.format(parts["AccountKey"])
    string = ";".join(f"{name}={value}" for name, value in parts.items())
    assert ContainerClient.from_connection_string(string, parse_location(place.url).container).exists()
    assert list(opened(place.url, **place.environ | {STRING: string}).list_recursive("")) == []


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_connection_string_is_refused_by_name(quote: str) -> None:
    string = f"{quote}DefaultEndpointsProtocol=https;AccountName=me;AccountKey={ACCOUNT_KEY}{quote}"
    with pytest.raises(errors.EnvironmentWrong, match="connection string begins or ends with a quote"):
        opened("azure://c", **{STRING: string})


@pytest.mark.parametrize(
    "string",
    [
        f"AccountName=me\u2028;AccountKey={ACCOUNT_KEY};BlobEndpoint=nonsense",
        f"AccountName=me;AccountKey={ACCOUNT_KEY};BlobEndpoint=nonsense",
        f"AccountName='me';AccountKey={ACCOUNT_KEY}",
        "BlobEndpoint=https://me.blob.core.windows.net;SharedAccessSignature='sv=1&sig=abc'",
    ],
)
def test_parts_of_a_connection_string_that_can_be_none_are_told(string: str) -> None:
    with pytest.raises(errors.EnvironmentWrong, match="of the Azure connection string") as raised:
        opened("azure://c", **{STRING: string})
    assert ACCOUNT_KEY not in str(raised.value)


@unclean
@pytest.mark.parametrize("name", ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_SAS_TOKEN"])
def test_what_was_added_to_a_value_of_azure_is_refused_by_name(name: str, form: str) -> None:
    environ = {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=abc"}
    with pytest.raises(errors.EnvironmentWrong, match=name):
        opened("azure://c", **environ | {name: form.format(environ[name])})


def test_a_key_of_an_account_is_cleaned_where_it_comes_by_a_variable_too() -> None:
    access = find_azure(resolve([], {}), {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_STORAGE_KEY": f'"{ACCOUNT_KEY}"\n'})
    assert access.provider is not None
    assert access.provider() == {"access_key": ACCOUNT_KEY, "expires_at": None}


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:1\r", '"http://127.0.0.1:1"', "ftp://127.0.0.1:1", "http://a b", "a:99999"]
)
def test_an_address_of_googles_emulator_that_can_be_none_is_told(host: str) -> None:
    with pytest.raises(errors.EnvironmentWrong, match="STORAGE_EMULATOR_HOST"):
        opened("gs://b", STORAGE_EMULATOR_HOST=host)


# A secret in the place of its file's name

MISPLACED = "MIIEvgIBADANBgkqhkiG9w0BAQEFAAMisplaced"
IN_JSON = json.dumps({"type": "service_account", "note": "n" * 280, "private_key": f"-----BEGIN\n{MISPLACED}\n"})
IN_PEM = f"-----BEGIN PRIVATE KEY-----\n{MISPLACED}\n-----END PRIVATE KEY-----\n"
AZURE_POD = {"AZURE_STORAGE_ACCOUNT": "me", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}


@pytest.mark.parametrize("value", [MISPLACED, IN_JSON, IN_PEM, f"/{MISPLACED}"], ids=["word", "JSON", "PEM", "slash"])
@pytest.mark.parametrize(
    ("name", "url", "environ"),
    [
        ("RUNNER_SIGNING_KEY_FILE", "s3://b/k", KEYS),
        ("RUNNER_PARAMETERS_FILE", "s3://b/k", KEYS),
        ("DB_PASSWORD_FILE", "s3://b/k", {**KEYS, "RUNNER_SECRETS": "DB_PASSWORD"}),
        ("AWS_CREDENTIALS_FILE", "s3://b/k", {"RUNNER_SECRETS": "AWS_CREDENTIALS"}),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "s3://b/k", {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r"}),
        ("AWS_SHARED_CREDENTIALS_FILE", "s3://b/k", {"AWS_PROFILE": "mine"}),
        ("AZURE_CREDENTIALS_FILE", "azure://c/k", {"RUNNER_SECRETS": "AZURE_CREDENTIALS"}),
        ("AZURE_FEDERATED_TOKEN_FILE", "azure://c/k", AZURE_POD),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "azure://c/k", AZURE_POD),
        ("GOOGLE_APPLICATION_CREDENTIALS", "gs://b/k", {}),
    ],
)
def test_a_secret_in_the_place_of_its_files_name_is_not_shown(
    name: str, url: str, environ: dict[str, str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://github.com/spiffe/helm-charts-hardened/issues/492, https://github.com/miracle2k/k8s-snapshots/issues/93."""
    impatient(monkeypatch, 0)
    for arguments in (("ls", url), ("check", url), ("doctor", url), ("doctor", "--json", url)):
        done = run_command({**NO_METADATA, **environ, name: value}, *arguments)
        assert done.code, arguments
        assert MISPLACED[:20] not in done.stdout + done.stderr, (arguments, done)


def test_a_start_shows_no_such_secret_either() -> None:
    environ = {"RUNNER_LOCATION": "s3://b/k", **KEYS, **NO_METADATA}
    for name in ("RUNNER_SIGNING_KEY_FILE", "DB_PASSWORD_FILE"):
        done = start({**environ, "RUNNER_SECRETS": "DB_PASSWORD", name: MISPLACED})
        assert done.code == 78
        assert name in done.stdout
        assert MISPLACED not in done.stdout + done.stderr


def test_the_name_of_a_file_that_is_not_mounted_is_shown() -> None:
    done = run_command({"RUNNER_SIGNING_KEY_FILE": "/run/secrets/signing-key"}, "ls", "s3://b")
    assert "/run/secrets/signing-key" in done.stderr


SIGNED = ["https://me.blob.core.windows.net/c?sv=1&sig={}", "azure://c/b?sv=1&sig={}", "s3://key:{}@b/k"]


@pytest.mark.parametrize("form", SIGNED)
@pytest.mark.parametrize(
    "command", [("run",), ("check",), ("ls",), ("doctor",), ("doctor", "--json"), ("show",), ("inspect",)], ids=" ".join
)
def test_a_location_with_a_secret_in_it_is_refused_and_not_shown(command: tuple[str, ...], form: str) -> None:
    done = run_command({}, *command, form.format(MISPLACED))
    assert done.code == 2, done
    assert MISPLACED not in done.stdout + done.stderr
    done = run_command({"RUNNER_LOCATION": form.format(MISPLACED)}, "doctor")
    assert done.code == 78
    assert MISPLACED not in done.stdout + done.stderr
