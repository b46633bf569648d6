"""AWS's credentials: runner finds what boto3 finds, refuses what boto3 refuses, and says why."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from runner import errors
from runner.backends import open_storage
from runner.backends.aws.config import read_config
from runner.backends.aws.credentials import find_aws
from runner.location import parse_location
from runner.secrets.named import resolve
from support.aws_situations import SITUATIONS, Situation, laid_out
from support.servers.aws_credentials import AwsCredentials
from support.servers.s3_as_aws import S3AsAws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.backends.base import Storage

HERE = Path(__file__).parent
AT_LEAST = 60  # situations


class Places(NamedTuple):
    """The stand-in that everything but metadata of another kind comes from, and what each word of a situation means."""

    aws: AwsCredentials
    words: dict[str, str]


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    with ExitStack() as stack:
        aws, tls, silent, old, bare = (stack.enter_context(AwsCredentials(tls=number == 1)) for number in range(5))
        silent.token, old.token, old.version_1, bare.role = "silent", "404", True, ""
        servers = {"URL": aws, "TLS": tls, "SILENT": silent, "OLD": old, "BARE": bare}
        words = {f"@{word}": server.url for word, server in servers.items()} | {"@CA": tls.ca_file}
        yield Places(aws, words)


def ask(one: Situation, home: Path, places: Places, key: str) -> dict[str, Any]:
    """Ask boto3 and runner in a process of its own."""
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **laid_out(one, home, places.words)}
    command = [sys.executable, str(HERE / "try_credentials.py"), key]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def answers(places: Places, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What boto3 and runner find in every situation."""
    folder = tmp_path_factory.mktemp("homes")
    with ThreadPoolExecutor(4) as pool:
        processes = {
            name: pool.submit(ask, one, folder / str(number), places, f"k{number}")
            for number, (name, one) in enumerate(SITUATIONS.items())
        }
        found = {name: one.result() for name, one in processes.items()}
    for number, name in enumerate(SITUATIONS):
        found[name]["runner"]["key"] = places.aws.signers.get(f"/bucket/k{number}")
    return found


@pytest.mark.parametrize("name", SITUATIONS)
def test_runner_finds_what_boto3_finds(answers: dict[str, dict[str, Any]], name: str) -> None:
    sdk, ours = answers[name]["sdk"], answers[name]["runner"]
    assert ours["key"] == sdk["key"], (sdk, ours)
    assert ours.get("source") == SITUATIONS[name].source, (sdk, ours)


def test_the_situations_are_many_and_of_every_kind() -> None:
    assert len(SITUATIONS) >= AT_LEAST
    refused = [name for name, one in SITUATIONS.items() if one.source is None]
    assert len(refused) > AT_LEAST / 4


def test_a_refusal_says_why_every_source_failed_and_no_value(answers: dict[str, dict[str, Any]]) -> None:
    text = answers["nothing, and metadata disabled"]["runner"]["text"]
    assert "AWS_ACCESS_KEY_ID is not set" in text
    assert "AWS_EC2_METADATA_DISABLED is true" in text
    assert "shared credentials file: no keys for the profile 'default'" in text


def opened(environ: Mapping[str, str]) -> Storage:
    return open_storage(parse_location("s3://bucket"), resolve([], environ), environ)


def test_keys_that_expire_in_mid_run_are_fetched_again(tmp_path: Path) -> None:
    process = tmp_path / "gives.py"
    process.write_text(
        "import datetime as d, json, pathlib\n"
        f"log = pathlib.Path({str(tmp_path / 'given')!r})\n"
        "log.write_text((log.read_text() if log.exists() else '') + 'x')\n"
        "until = (d.datetime.now(d.UTC) + d.timedelta(seconds=60)).isoformat()\n"
        "keys = {'AccessKeyId': 'AKIDEXAMPLE', 'SecretAccessKey': SECRET, 'SessionToken': 't'}\n"
        "print(json.dumps({'Version': 1, 'Expiration': until} | keys))\n".replace("SECRET", repr(S3AsAws().secret_key))
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {process}\n")
    with S3AsAws() as s3:
        keyless = {name: value for name, value in s3.server.environ.items() if "KEY" not in name}
        environ = keyless | {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/none"}
        storage = opened(environ)
        with storage.writer("large") as writer:
            for _ in range(4):
                writer.write(bytes(9_000_000))
        assert len(s3.objects["large"]) == 36_000_000
    assert len((tmp_path / "given").read_text()) > 1  # one key would have been too old for the next part


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_time_of_expiry_is_understood_wherever_the_machine_stands(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zone other than UTC once had obstore refuse good keys."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        with S3AsAws() as s3:
            s3.objects["etl/v1"] = b"bundle"
            lasting = {"AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"}
            assert opened(s3.server.environ | lasting).read("etl/v1") == b"bundle"
            keys = {"AccessKeyId": s3.access_key, "SecretAccessKey": s3.secret_key, "SessionToken": "t"}
            (tmp_path / "gives.json").write_text(
                json.dumps({"Version": 1, "Expiration": "2099-01-01T00:00:00Z"} | keys)
            )
            (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/gives.json\n")
            keyless = {name: value for name, value in s3.server.environ.items() if "KEY" not in name}
            files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/none"}
            assert opened(keyless | files).read("etl/v1") == b"bundle"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_keys_are_not_used_longer_than_they_last(tmp_path: Path) -> None:
    """Keys of a minute are handed to obstore as such, not as keys of the five minutes after which boto3 is asked."""
    until = datetime.now(UTC) + timedelta(seconds=60)
    keys = {"AccessKeyId": "AKID", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": until.isoformat()}
    (tmp_path / "gives.json").write_text(json.dumps({"Version": 1} | keys))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/gives.json\n")
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/none"}
    access = find_aws("bucket", resolve([], files), read_config(files))
    assert access.provider
    expiry = access.provider()["expires_at"]
    assert expiry
    assert expiry <= until


def test_a_role_that_wants_a_code_is_refused_and_nobody_is_asked_to_type_it(tmp_path: Path) -> None:
    role = "role_arn=arn:aws:iam::1:role/r\nsource_profile=default\nmfa_serial=arn:aws:iam::1:mfa/me\n"
    (tmp_path / "config").write_text(f"[default]\n{role}")
    files = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/none"}
    with pytest.raises(errors.CredentialsRefused, match="wants an MFA code"):
        opened(files)


def test_the_principal_and_the_permission_that_is_missing_are_reported() -> None:
    with S3AsAws() as s3:
        s3.can_read = False
        with pytest.raises(errors.Denied) as refusal:
            opened(s3.server.environ).read("etl/v1")
        assert re.search(r"s3:GetObject", str(refusal.value))
        assert "credentials used: environment" in str(refusal.value)
        assert s3.secret_key not in str(refusal.value)
