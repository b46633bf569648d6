"""What the supervisor makes of what it was told; all else of it is shown through the entrypoint in test_run.py."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import BundleCorrupt, EnvironmentWrong, InternalError, RunnerError, Unreachable, WriteFailed
from runner.model.verdict import Verdict
from runner.runs import claims, ends
from runner.runs.layout import Claim, RunLayout, RunPlace
from runner.runs.store import RunStore
from runner.runtime import channel, messages
from runner.settings import Settings
from runner.supervisor import supervise
from runner.supervisor.backlog import LogBuffer
from runner.supervisor.child_report import ChildReport
from runner.supervisor.exit_status import ExitStatus
from runner.supervisor.settle import Settlement
from support.places import local_place
from support.restored_logging import restored_logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.schema.documents import BundleReference

BUNDLE: BundleReference = {"url": "x", "sha256": "0" * 64}
SECRET = b"known to two processes"
PLACE = RunPlace("file", "/x", "etl", "r")
SUCCESS = Verdict("succeeded", 0, "run r succeeded")


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with restored_logging():
        yield


def reported(**told: Any) -> ChildReport:
    report = ChildReport()
    assert vars(report).keys() >= told.keys()
    vars(report).update(told)
    return report


def settlement(report: ChildReport, log: io.StringIO) -> Settlement:
    """The settlement of a process that told this and is gone."""
    return Settlement(Settings(environ={}), {}, log, report, LogBuffer(), SECRET, lambda: None)


@pytest.mark.parametrize(
    ("error", "began", "state"),
    [
        (BundleCorrupt("x"), False, "refused"),
        (EnvironmentWrong("x"), False, "refused"),
        (Unreachable("x"), True, "crashed"),
        (InternalError("x"), False, "crashed"),
        (WriteFailed("x"), False, "crashed"),
    ],
)
def test_an_attempt_that_failed_before_the_flow_is_refused_and_later_crashed(
    error: RunnerError, state: str, *, began: bool
) -> None:
    verdict = settlement(reported(has_begun=began), io.StringIO()).verdict(ExitStatus(0), None, error)
    assert (verdict.state, verdict.exit_code) == (state, error.code)


def test_what_is_told_is_read_as_it_was_written() -> None:
    sent: list[messages.Message] = [
        {"kind": "run located", "place": PLACE, "flow": None, "bundle": BUNDLE},
        {"kind": "bundle verified", "secrets": ["A"], "request_digest": None},
        {"kind": "modules unpacked", "folder": "/tmp/x \udce9"},
        {"kind": "claim announced", "claim": Claim(1, "t", "token")},
        {"kind": "claim withdrawn"},
        {"kind": "claim held"},
        {"kind": "flow began", "flow": "täglich"},
        {"kind": "end saved aside"},
        {"kind": "attempt ended", "verdict": None},
        {"kind": "attempt ended", "verdict": SUCCESS},
        {"kind": "finished", "verdict": SUCCESS},
        {"kind": "stop", "verdict": SUCCESS, "signal": 15, "within": 8.0},
    ]
    for message in sent:
        assert channel.decode(channel.encode(message)) == message


def test_every_kind_of_message_can_be_read() -> None:
    fields = {}
    for kind in messages.Message.__args__:
        [name] = re.findall(r"Literal\['(.*)'\]", kind.__annotations__["kind"].__forward_arg__.replace('"', "'"))
        fields[name] = kind.__annotations__.keys() - {"kind"}
    assert fields == channel._FIELDS


def test_what_the_flow_writes_into_the_pipe_is_no_message(tmp_path: Path) -> None:
    file = tmp_path / "messages"
    sent: list[messages.Message] = [
        {"kind": "run located", "place": PLACE, "flow": None, "bundle": BUNDLE},
        {"kind": "claim withdrawn"},
    ]
    noise = [b"[1]\n", b"noise\xff\n", b'{"kind": "nothing"}\n', b'{"kind": []}\n', b'{"kind": "finished"}\n']
    noise += [b'{"kind": "finished", "verdict": 1}\n', b"[" * 100_000 + b"\n", b'{"kind": "finished", "verd']
    file.write_bytes(channel.encode(sent[0]) + b"".join(noise[:-1]) + channel.encode(sent[1]) + noise[-1])
    supervisor = supervise.Supervisor({}, io.StringIO())
    supervisor._read_messages(os.open(file, os.O_RDONLY))
    assert vars(supervisor.report) == vars(reported(place=PLACE, bundle=BUNDLE))
    assert supervisor.failure is None


@pytest.mark.parametrize("committed", [True, False])
def test_success_that_was_told_and_garbled_is_looked_up(tmp_path: Path, *, committed: bool) -> None:
    """The child said 0 and its word on the end was lost: the storage knows whether that is true."""
    storage = local_place(tmp_path / "storage").open()
    store = RunStore(storage, RunLayout("etl", "r"))
    facts = ends.RunFacts("etl", BUNDLE)
    claim = claims.claim_run(store, lambda _claim: None, facts, fresh=True, interval=15)
    assert isinstance(claim, Claim)
    if committed:
        ends.commit_end(store, ends.end_document("r", claim, facts, SUCCESS, secret=SECRET))
    report = reported(place=store.place, flow="etl", bundle=BUNDLE, claim=claim, attempt=1, verdict=SUCCESS)
    log = io.StringIO()
    settled = settlement(report, log)
    verdict = settled.verdict(ExitStatus(0), None, None)
    assert settled.conclude(verdict, None, None, None) == (0 if committed else 70)
    line = json.loads(log.getvalue())
    assert (line["code"], line["run_id"], line["attempt"]) == (0 if committed else 70, "r", 1)
    stands = store.read_end(1)
    assert stands is not None
    assert stands["state"] == ("succeeded" if committed else "crashed")


def test_the_last_word_is_said_whatever_else_fails(tmp_path: Path) -> None:
    report = reported(place=RunPlace("file", str(tmp_path), "", "r"), claim=Claim(1, "t", "token"))
    log = io.StringIO()
    verdict = ExitStatus(signal.SIGSEGV).verdict
    assert settlement(report, log).conclude(verdict, None, None, None) == 139
    warning, error = map(json.loads, log.getvalue().splitlines())
    assert "end could not be written" in warning["message"]
    assert error["code"] == 139
