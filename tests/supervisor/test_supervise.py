"""What the supervisor makes of what it was told; all else of it is shown through the entrypoint in test_run.py."""

from __future__ import annotations

import io
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from runner.runs import claims, documents, ends
from runner.runs.layout import RunLayout
from runner.supervisor import settle, supervise
from runner.supervisor.exit_status import ExitStatus
from support.places import local_place
from support.restored_logging import restored_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with restored_logging():
        yield


@pytest.mark.parametrize(
    ("code", "began", "state"),
    [
        (65, False, "refused"),
        (78, False, "refused"),
        (69, True, "crashed"),
        (70, False, "crashed"),
        (73, False, "crashed"),
    ],
)
def test_an_attempt_that_failed_before_the_flow_is_refused_and_later_crashed(
    code: int, state: str, *, began: bool
) -> None:
    told = {"began": True} if began else {}
    assert settle.verdict_of_child({"code": code, "error": "X", "message": "x"}, told)["state"] == state


def test_what_the_flow_told_is_taken_in_without_trust(tmp_path: Path) -> None:
    file = tmp_path / "facts"
    file.write_bytes(b'{"run": {"run_id": "r"}}\n[1]\nnoise\xff\n{"claim": null}\n{"last": {"code"')
    start = supervise.Supervisor({}, io.StringIO())
    start._hear(os.open(file, os.O_RDONLY))
    assert start.told == {"run": {"run_id": "r"}, "claim": None}


def left(told: dict[str, Any], log: io.StringIO) -> supervise.Supervisor:
    """Give the supervisor of a process that told this and is gone."""
    start = supervise.Supervisor({}, log)
    start.told = told
    return start


@pytest.mark.parametrize("committed", [True, False])
def test_success_that_was_told_and_garbled_is_looked_up(tmp_path: Path, *, committed: bool) -> None:
    """The child said 0 and its word on the end was lost: the storage knows whether that is true."""
    storage = local_place(tmp_path / "storage").open()
    folder = RunLayout("etl", "r")
    facts = {"flow": "etl", "bundle": {"url": "x", "sha256": "0" * 64}}
    claim = claims.claim_run(storage, folder, lambda _claim: None, facts, fresh=True, interval=15)
    assert isinstance(claim, ends.Claim)
    if committed:
        end = {**facts, "state": "succeeded", "exit_code": 0, "error": None, "tasks": []}
        ends.end_attempt(storage, claim, end)
    told = {
        "run": {"scheme": "file", "container": storage.container, "home": "etl", "run_id": "r"},
        "claim": {"attempt": 1, "started": claim.started, "token": claim.token},
        "facts": facts,
    }
    last = settle.verdict_of_child({"code": 0, "message": "run r succeeded"}, told)
    log = io.StringIO()
    assert left(told, log)._last_word(last) == (0 if committed else 70)
    line = json.loads(log.getvalue())
    assert (line["code"], line["run_id"], line["attempt"]) == (0 if committed else 70, "r", 1)
    standing = documents.decode(storage.read(folder.end(1)))
    assert standing["state"] == ("succeeded" if committed else "crashed")


def test_the_last_word_is_said_whatever_else_fails(tmp_path: Path) -> None:
    told = {
        "run": {"scheme": "file", "container": str(tmp_path), "home": "", "run_id": "r"},
        "claim": {"attempt": "garbled"},
        "facts": {"flow": None},
    }
    log = io.StringIO()
    assert left(told, log)._last_word(ExitStatus(signal.SIGSEGV).verdict()) == 139
    warning, error = map(json.loads, log.getvalue().splitlines())
    assert "end could not be written" in warning["message"]
    assert error["code"] == 139
