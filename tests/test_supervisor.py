"""What a child's death means; all else of the supervisor is shown through the entrypoint in test_run.py."""

from __future__ import annotations

import io
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from kept_logging import kept_logging
from places import local_place
from runner import claims, records, supervisor
from runner.records import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with kept_logging():
        yield


@pytest.mark.parametrize(
    ("status", "asked", "late", "expected"),
    [
        (signal.SIGSEGV, None, False, ("crashed", 139, "SIGSEGV")),
        (signal.SIGKILL, None, False, ("crashed", 137, "out of memory")),
        (40, None, False, ("crashed", 168, "signal 40")),
        (signal.SIGTERM, None, False, ("cancelled", 143, "SIGTERM")),  # somebody asked the child itself
        (signal.SIGKILL, signal.SIGTERM, False, ("cancelled", 143, "SIGTERM")),
        (0, signal.SIGINT, False, ("cancelled", 130, "SIGINT")),  # it was asked, and left by itself
        (signal.SIGTERM, None, True, ("timed_out", 124, "RUNNER_TIMEOUT")),
        (signal.SIGKILL, signal.SIGTERM, True, ("timed_out", 124, "RUNNER_TIMEOUT")),
        (0, None, False, ("failed", 1, "exit status 0")),
        (5 << 8, None, False, ("failed", 1, "exit status 5")),
    ],
)
def test_a_death_without_a_word_is_judged_by_how_it_came(
    status: int, asked: int | None, expected: tuple[str, int, str], *, late: bool
) -> None:
    verdict = supervisor._verdict(status, asked, late=late)
    assert (verdict["state"], verdict["code"]) == expected[:2]
    assert expected[2] in verdict["message"]


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
    assert supervisor._spoken({"code": code, "error": "X", "message": "x"}, told)["state"] == state


def test_what_the_child_told_is_read_without_waiting_and_without_trust() -> None:
    reader, writer = os.pipe()  # the writing end stays open, as a grandchild may hold it
    os.write(writer, b'{"run": {"run_id": "r"}}\n[1]\nnoise\xff\n{"claim": null}\n{"last": {"code"')
    assert supervisor._told(reader) == {"run": {"run_id": "r"}, "claim": None}
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("committed", [True, False])
def test_success_that_was_told_and_garbled_is_looked_up(tmp_path: Path, *, committed: bool) -> None:
    """The child said 0 and its word on the end was lost: the storage knows whether that is true."""
    storage = local_place(tmp_path / "storage").open()
    folder = RunFolder("etl", "r")
    claim = claims.claim_run(storage, folder, lambda _claim: None, fresh=True)
    assert isinstance(claim, claims.Claim)
    facts = {"flow": "etl", "bundle": {"url": "x", "sha256": "0" * 64}}
    if committed:
        end = {**facts, "state": "succeeded", "exit_code": 0, "error": None, "tasks": []}
        claims.end_attempt(storage, claim, end)
    told = {
        "run": {"scheme": "file", "container": storage.container, "home": "etl", "run_id": "r"},
        "claim": {"attempt": 1, "started": claim.started, "token": claim.token},
        "facts": facts,
    }
    last = supervisor._spoken({"code": 0, "message": "run r succeeded"}, told)
    log = io.StringIO()
    assert supervisor._last_word(told, last, {}, log) == (0 if committed else 70)
    line = json.loads(log.getvalue())
    assert (line["code"], line["run_id"], line["attempt"]) == (0 if committed else 70, "r", 1)
    standing = records.decode(storage.read(folder.end(1)))
    assert standing["state"] == ("succeeded" if committed else "crashed")


def test_the_last_word_is_said_whatever_else_fails(tmp_path: Path) -> None:
    told = {
        "run": {"scheme": "file", "container": str(tmp_path), "home": "", "run_id": "r"},
        "claim": {"attempt": "garbled"},
        "facts": {"flow": None},
    }
    end = supervisor._verdict(signal.SIGSEGV, None, late=False)
    log = io.StringIO()
    assert supervisor._last_word(told, end, {}, log) == 139
    warning, error = map(json.loads, log.getvalue().splitlines())
    assert "end could not be written" in warning["message"]
    assert error["code"] == 139
