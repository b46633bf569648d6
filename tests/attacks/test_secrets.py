"""Attacks on secrets: what somebody who can read the bucket, the log or the image would like to find there."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, build_flow, task
from runner.errors import FlowFailed
from runner.storage import Docker, Local
from support.canary import AUTHOR, KEY, Target
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
