"""Attacks on secrets: what somebody who can read the bucket, the log or the image would like to find there."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, build_flow, secret, task
from runner.errors import FlowFailed
from runner.secrets import scanner
from runner.secrets.named import find_secret
from runner.secrets.redaction import MASK, redact, reset_masks
from runner.storage import Docker, Local
from support.canary import AUTHOR, KEY, Target
from support.secret_forms import FORMS
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "wF3!kq9_Zr7-mmV2"


def closing_over(value: Any) -> Any:
    def close_over() -> Any:
        return value

    return close_over


def local(target: Target) -> Local:
    return Local(target.place.url.removeprefix("file://"))


def refused(target: Target, function: Any, *words: str) -> None:
    with pytest.raises(FlowFailed) as refusal:
        build_flow(function, name="f", storage=local(target))
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert VALUE not in str(refusal.value)
    assert target.place.keys() == []


def test_a_password_is_closed_over(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author's helper takes the password once and returns a function; the pickle takes the cell along."""
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    refused(target, closing_over({"password": VALUE}), "DB_PASSWORD", "closure variable value")


def test_a_client_is_made_at_the_top_of_the_file(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with a token deep inside is an argument of a task."""
    monkeypatch.setenv("SERVICE_TOKEN", VALUE)
    with Flow("f", storage=local(target)) as flow:
        task(_first, name="ask")([{"session": {"headers": [("authorization", f"Bearer {VALUE}")]}}])
    with pytest.raises(FlowFailed, match="SERVICE_TOKEN, in an argument of task ask") as refusal:
        flow.storage.build()
    assert VALUE not in str(refusal.value)


def _first(parts: list[Any]) -> Any:
    return parts[0]


def test_a_secret_hides_in_a_basic_authorisation(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """base64 of user:password has no byte in common with the password."""
    monkeypatch.setenv("API_SECRET", VALUE)
    refused(target, closing_over(base64.b64encode(f"user:{VALUE}".encode())), "API_SECRET")


def test_a_key_file_lies_in_the_package(target: Target, tmp_path: Path) -> None:
    """Data files of a package travel; one of them is the service account's key that was downloaded into it."""
    package = tmp_path / "author/pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "key.json").write_text(json.dumps({"type": "service_account", "private_key": AUTHOR.pem.decode()}))
    (tmp_path / "author/flow.py").write_text(
        "import pipeline\nfrom runner import Flow, task\n\n\n@task\ndef t():\n    return pipeline.__name__\n\n\n"
        "with Flow('f') as flow:\n    t()\n"
    )
    done = start({}, "build", str(tmp_path / "author/flow.py"), "--storage", target.place.url)
    assert done.code == 1, done
    assert "a private key, in the file pipeline/key.json" in done.stderr
    assert target.place.keys() == []


@pytest.mark.parametrize("form", FORMS)
def test_a_named_secret_hides_in_a_form_that_its_author_did_not_think_of(form: str) -> None:
    """What a run hides is what a build refuses, whoever wrote it: one list, and no value is too harmless."""
    for value in (VALUE, "/usr/lib'x\"&<>%2", "Straße-9-Straße"):
        written = FORMS[form](value)
        secrets = scanner.collect_secrets(["WAREHOUSE"], {"WAREHOUSE": value})
        assert scanner.find_secrets(f"x{written}x".encode(), secrets) == ["the value of the secret WAREHOUSE"], written
        find_secret("WAREHOUSE", {"WAREHOUSE": value})
        assert MASK in redact(f"x{written}x")


DSNS = {
    "postgresql://etl:{}@db.example.com:5432/x?sslmode=require": "a URL",
    "redis://:{}@cache:6379/0": "a URL without a user",
    "mongodb+srv://etl:{}@a.example.com,b.example.com/x": "a URL with two hosts",
    "azure://application-id:{}?tenantId=made-up": "a URL without a host, as Airflow's (apache/airflow 38144)",
    "jdbc:postgresql://db/x?user=etl&password={}": "a query",
    "host=db user=etl password='{}' dbname=x": "libpq's words",
    "Driver={{ODBC Driver 18}};Server=db;UID=etl;PWD={{{}}};": "ODBC's words",
    "Server=db;User Id=etl;Password={};": "ADO's words",
    "Endpoint=sb://x.example.com/;SharedAccessKeyName=etl;SharedAccessKey={}": "Service Bus's words",
}


@pytest.mark.parametrize("dsn", DSNS, ids=DSNS.values())
def test_the_password_stands_alone_that_was_named_in_a_connection_string(
    target: Target, monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    """The string is named; the author, or a driver's error, writes the password out of it."""
    monkeypatch.setenv("DSN", dsn.format(VALUE))
    storage = Local(target.place.url.removeprefix("file://"), secrets=["DSN"])
    with pytest.raises(FlowFailed, match="the value of the secret DSN, in the closure variable value"):
        build_flow(closing_over(f"login failed for {VALUE}"), name="f", storage=storage)
    find_secret("DSN", {"DSN": dsn.format(VALUE)})
    assert redact(f"login failed for {VALUE}, {dsn.format(VALUE)}").count(MASK) == 2


def test_a_password_stands_in_a_url_as_no_url_may_have_it() -> None:
    """An unescaped @ or / ends the password for one reader, and not for the next; both readings are hidden."""
    for written in ("p@ss/w0rd-long-enough", "p%40ss%2Fw0rd-long-enough"):
        find_secret("DSN", {"DSN": f"postgresql://etl:{written}@db/x"})
        assert "w0rd-long" not in redact(f"{written} p@ss/w0rd-long-enough")
        reset_masks()


def test_a_token_stands_where_a_url_has_its_user() -> None:
    """Only passwords were hidden, and some services take the token as the user (pypa/pip 9973)."""
    token = "ghp_" + "aB3" * 12
    for url in (f"https://{token}@github.com/x", f"https://{token}:@pypi.example.com", f"https://{token}:x-oauth@x"):
        find_secret("INDEX", {"INDEX": url})
        assert redact(f"401 for {token}") == "401 for ***"
        reset_masks()


@pytest.mark.parametrize(
    "name",
    [
        "MONGO_SECRET_URI",
        "PASSWD",
        "ORACLE_PWD",
        "MSSQL_SA_PWD",
        "SSH_PASSPHRASE",
        "DB_PASS",
        "GITHUB_PAT",
        "PGPASSWORD",
    ],
)
def test_a_variable_is_named_as_a_secret_in_a_way_that_was_not_looked_for(name: str) -> None:
    secrets = scanner.collect_secrets((), {name: VALUE})
    assert scanner.find_secrets(f"x{VALUE}x".encode(), secrets) == [f"the value of the variable {name}"]


def test_a_variable_that_is_named_harmlessly_has_a_password_in_its_url() -> None:
    """DATABASE_URL says nothing of a secret, and every platform sets it."""
    secrets = scanner.collect_secrets(
        (), {"DATABASE_URL": f"postgres://etl:{VALUE}@db/x", "http_proxy": "http://proxy"}
    )
    assert scanner.find_secrets(f"x{VALUE}x".encode(), secrets) == ["the value of the variable DATABASE_URL"]
    assert not scanner.collect_secrets((), {"PWD": "work-in-progress", "OLDPWD": "work-in-progress"})
    assert not scanner.collect_secrets((), {"EXAMPLE_URL": "postgres://user:password@db", "T": "http://a:{b-c-d-e}@x"})


def test_an_exception_carries_the_secret_in_the_name_of_its_class(target: Target) -> None:
    """A driver makes a class for each error that a server reports, and the report quotes the password."""
    flow = build_flow(raises_a_class_named_after_the_password, name="etl", storage=local(target))
    done = start({"RUNNER_LOCATION": flow, "RUNNER_RUN_ID": "r", "RUNNER_SECRETS": "DB", "DB": VALUE})
    assert done.code == 1, done
    outcome = target.place.read("etl/runs/r/outcome.json").decode()
    assert "***" in json.loads(outcome)["tasks"][0]["error"]["type"]
    assert VALUE not in outcome + done.stdout + done.stderr


def raises_a_class_named_after_the_password() -> None:
    raise type(f"No{secret('DB')}", (ValueError,), {})


def test_a_secret_is_baked_into_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can pull an image reads its variables."""
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    flow = Flow("f", storage=Docker(env_vars={"DSN": f"postgres {VALUE}"}))
    with pytest.raises(FlowFailed, match="the image's variable DSN"):
        flow.storage.build()


def test_the_private_key_is_given_for_the_public_one(target: Target) -> None:
    """An operator mixes them up, and the error, which ends in the log, would tell the key."""
    target.put(target.bundle())
    text = base64.b64encode(AUTHOR.raw).decode()
    for environ in ({"RUNNER_TRUSTED_KEYS": AUTHOR.pem.decode()}, {"RUNNER_SIGNING_KEY": text[:-6]}):
        for arguments in ((), ("check",), ("doctor",), ("inspect", f"{target.place.url}/{KEY}")):
            done = start({"RUNNER_LOCATION": f"{target.place.url}/{KEY}"} | environ, *arguments)
            assert text[:-6] not in done.stdout + done.stderr
            assert AUTHOR.pem.decode().splitlines()[1] not in done.stdout + done.stderr
    assert not target.canary.executed
