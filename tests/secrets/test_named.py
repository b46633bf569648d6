"""Named secrets: where they are looked for, what they become, and that none is ever shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import runner
from runner.errors import EnvironmentWrong
from runner.secrets import named
from runner.secrets.named import Credentials, find_secret, known_secrets_present, resolve
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setattr(named, "MOUNT_FOLDER", folder)
    return folder


def test_a_mount_comes_before_a_file_and_a_file_before_the_variable(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the file\n")
    environ = {"KEY": "from the variable"}
    assert find_secret("KEY", environ) == "from the variable"
    environ["KEY_FILE"] = str(tmp_path / "file")
    assert find_secret("KEY", environ) == "from the file"
    (mounted / "KEY").write_text("from the mount\n")
    assert find_secret("KEY", environ) == "from the mount"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        (" kept as it is ", " kept as it is "),
        ("one newline is cut\n\n", "one newline is cut\n"),
        ("windows\r\n", "windows"),
        ("12", "12"),
        ("true", "true"),
        ('"text"', '"text"'),
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ("{no json", "{no json"),
        ("", ""),
    ],
)
def test_only_an_object_or_array_is_parsed(mounted: Path, text: str, value: object) -> None:
    assert find_secret("KEY", {"KEY": text}) == value
    (mounted / "KEY").write_bytes(text.encode())
    assert find_secret("KEY", {}) == value


def test_a_secret_that_is_nowhere_is_named_with_all_three_places(mounted: Path) -> None:
    with pytest.raises(EnvironmentWrong) as caught:
        find_secret("KEY", {})
    assert "secret KEY is nowhere" in str(caught.value)
    assert all(place in str(caught.value) for place in (str(mounted / "KEY"), "KEY_FILE", "or KEY to"))


@pytest.mark.usefixtures("mounted")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    for path in (tmp_path / "none", tmp_path / "latin"):
        with pytest.raises(EnvironmentWrong, match=str(path)):
            find_secret("KEY", {"KEY_FILE": str(path)})


@pytest.mark.usefixtures("mounted")
def test_what_was_found_is_never_printed() -> None:
    secret = {"ACCESS_KEY": "AKIDAKID", "SECRET_ACCESS_KEY": 'with "quotes"'}
    found = resolve(["AWS_CREDENTIALS", "PLAIN"], {"AWS_CREDENTIALS": json.dumps(secret), "PLAIN": "pläin text"})
    assert repr(found) == "Credentials(AWS_CREDENTIALS=<secret>, PLAIN=<secret>)"
    assert found.aws() == secret
    text = redact(f"AKIDAKID {json.dumps(secret)} {secret} {json.dumps('pläin text')} pläin text")
    assert not any(word in text for word in ("AKID", "quotes", "pläin", json.dumps("pläin")[1:-1]))


@pytest.mark.usefixtures("mounted")
def test_the_key_in_a_connection_string_is_as_secret_as_the_string() -> None:
    text = "AccountName=name;AccountKey=c2VjcmV0a2V5;EndpointSuffix=x"
    assert resolve(["AZURE_CREDENTIALS"], {"AZURE_CREDENTIALS": text}).azure() == text
    assert redact("key c2VjcmV0a2V5 of name") == "key *** of name"


@pytest.mark.usefixtures("mounted")
def test_all_that_is_wrong_is_named_at_once_and_without_values() -> None:
    environ = {"AWS_CREDENTIALS": '{"ACCESS_KEY": "AKIDAKID"}', "GCP_CREDENTIALS": "hunter2", "AZURE_CREDENTIALS": ""}
    with pytest.raises(EnvironmentWrong) as caught:
        resolve(["AWS_CREDENTIALS", "GCP_CREDENTIALS", "AZURE_CREDENTIALS", "GONE"], environ)
    text = str(caught.value)
    assert "AWS_CREDENTIALS has no SECRET_ACCESS_KEY" in text
    assert "GCP_CREDENTIALS is no JSON object" in text
    assert "private_key" in text
    assert "AZURE_CREDENTIALS must be a connection string" in text
    assert "GONE is nowhere" in text
    assert "AKIDAKID" not in text
    assert "hunter2" not in text


def test_the_secret_that_opens_a_storage_is_known_by_name() -> None:
    named = Credentials({"AWS_CREDENTIALS": {}, "AZURE_STORAGE_CONNECTION_STRING": "x", "DB": "y"})
    assert [named.name_for(scheme) for scheme in ("s3", "gs", "azure", "file")] == [
        "AWS_CREDENTIALS", None, "AZURE_STORAGE_CONNECTION_STRING", None,
    ]  # fmt: skip
    assert named.gcp() is None
    assert repr(Credentials({})) == "Credentials()"


def test_what_is_here_is_listed_named_or_not(mounted: Path) -> None:
    (mounted / "GCP_CREDENTIALS").write_text("{}")
    assert known_secrets_present({"AWS_CREDENTIALS_FILE": "x", "OTHER": "y"}) == ["AWS_CREDENTIALS", "GCP_CREDENTIALS"]


@pytest.mark.usefixtures("mounted")
def test_a_flow_reads_its_secrets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
    assert runner.secret("DB_PASSWORD") == "hunter2hunter2"
    assert redact("it is hunter2hunter2") == "it is ***"


@pytest.mark.usefixtures("mounted")
def test_every_key_in_a_connection_string_is_masked_in_whatever_case_and_nothing_else_in_it() -> None:
    text = (
        "DefaultEndpointsProtocol=https;AccountName=thename;AccountKey=abcdefgh;accountkey = 12345678;"
        "SharedAccessSignature=sv=1&sig=Zm9vYmFy%3D;EndpointSuffix=core.windows.net"
    )
    resolve(("AZURE_CREDENTIALS",), {"AZURE_CREDENTIALS": text})
    assert redact("1 abcdefgh 2 12345678 3 sv=1&sig=Zm9vYmFy%3D 4 sig=Zm9vYmFy= 5") == "1 *** 2 *** 3 *** 4 sig=*** 5"
    assert redact("https://thename.blob.core.windows.net") == "https://thename.blob.core.windows.net"
    assert redact(text) == "***"


@pytest.mark.usefixtures("mounted")
def test_of_a_json_secret_every_text_and_number_is_masked_but_short_ones_and_public_fields() -> None:
    value = {
        "type": "service_account",
        "client_email": "robot@project.iam",
        "token_uri": "https://oauth2.example/token",
        "private_key_id": "0123456789abcdef",
        "nested": [{"users": ["etl-user", 5432, 1234567890, True, None]}],
        "database_url": "postgres://etl:hunter2hunter2@db/x",
        "account_key": "bm90IHB1YmxpYw==",
    }
    resolve(["DB"], {"DB": json.dumps(value)})
    assert redact("service_account robot@project.iam https://oauth2.example/token 5432 True None") == (
        "service_account robot@project.iam https://oauth2.example/token 5432 True None"
    )
    secrets = "0123456789abcdef etl-user 1234567890 postgres://etl:hunter2hunter2@db/x bm90IHB1YmxpYw=="
    assert redact(secrets) == "*** *** *** *** ***"
    assert redact(json.dumps(value)) == "***"


@pytest.mark.usefixtures("mounted")
def test_every_line_of_a_secret_is_masked_but_the_header_of_a_key() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIE\nINTwctfvPmS7\n-----END PRIVATE KEY-----"
    resolve(["PEM"], {"PEM": text})
    assert redact("  | -----BEGIN PRIVATE KEY-----\n  | MC4CAQAwBQYDK2VwBCIE\n  | INTwctfvPmS7") == (
        "  | -----BEGIN PRIVATE KEY-----\n  | ***\n  | ***"
    )
    assert redact(text) == "***"


@pytest.mark.usefixtures("mounted")
def test_what_is_too_short_to_be_masked_is_warned_of_once_by_name(caplog: pytest.LogCaptureFixture) -> None:
    environ = {"SHORT_PIN": "12-34", "DB_PARTS": '{"user": "etl", "password": "long-enough"}', "LONG": "long-enough-2"}
    for _ in range(2):
        resolve(environ, environ)
    assert [record.getMessage() for record in caplog.records] == [
        "the secret SHORT_PIN is shorter than 8 characters, and is neither looked for nor hidden",
        "a part of the secret DB_PARTS is shorter than 8 characters, and is neither looked for nor hidden",
    ]
    assert redact("12-34 etl long-enough long-enough-2") == "12-34 etl *** ***"


@pytest.mark.usefixtures("mounted")
def test_the_ambient_credentials_are_masked_as_well() -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": "ambient-key", "GCP_CREDENTIALS": '{"private_key": "not-named"}'}
    resolve((), environ)
    assert redact("ambient-key not-named") == "*** ***"
