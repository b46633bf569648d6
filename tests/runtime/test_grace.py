"""Asked to stop while the storage fails, runner ends within the grace, and has printed and kept the end before."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from runner.supervisor import settle
from support.contract import METHODS, endpoint, through
from support.flows import publish
from support.process_runs import begin, trouble, wait_for
from support.starting import Ran
from support.wire import Fault, Relay

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place

GRACE = 3.0
MARGIN = 2 * settle.PROMPT_SECONDS + settle.LEAST_SECONDS + 2.5  # the last is for two slow processors
FAULTS = {
    "silent": [Fault("silent", method) for method in METHODS],
    "busy": [Fault("answer", method, status=503, body=b"<Error><Code>SlowDown</Code></Error>") for method in METHODS],
    "dropped": [Fault("drop", method) for method in METHODS],
}


pytestmark = [
    pytest.mark.parametrize("backend", ["s3"], indirect=True),
    pytest.mark.usefixtures("_unmeasured"),  # a flow is interrupted, and that takes long where it is measured
]


@pytest.fixture
def behind(place: Place) -> Iterator[tuple[Relay, Place]]:
    """A bucket behind a relay."""
    publish(place, "trouble.py")
    upstream = endpoint(place)
    with Relay(f"http://{upstream}") as relay:
        yield relay, through(place, relay.port, upstream)


def begin_and_wait(behind: tuple[Relay, Place], folder: Path, grace: float) -> tuple[subprocess.Popen[str], int]:
    """Start a run whose task never ends; give its supervisor, once that beats, and the flow's process."""
    relay, place = behind
    marker = folder / "marker"
    more = {"RUNNER_GRACE": str(grace), "RUNNER_HEARTBEAT": "0.5", "TMPDIR": str(folder)}
    process = begin(trouble(place, "wait", file=str(marker), **more))
    child = int(wait_for(marker, process))
    for _ in range(2):  # the second one half a second later, when it knows that the flow has begun
        asked_for(relay, len(relay.requests), "PUT", "/beat", process)
    return process, child


def asked_for(relay: Relay, sofar: int, method: str, words: str, process: subprocess.Popen[str]) -> None:
    """Wait until a request was made."""
    while not [path for sent, path in relay.requests[sofar:] if sent == method and words in path]:
        assert process.poll() is None, process.communicate()
        relay.over.wait(0.01)


def kept_ends(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("runner-r-*.json")]


@pytest.mark.parametrize("fault", FAULTS)
def test_asked_to_stop_while_storage_fails_it_ends_within_the_grace(
    behind: tuple[Relay, Place], tmp_path: Path, fault: str
) -> None:
    """It took 25 to 46 s with a grace of 5, and the end was printed after Kubernetes' SIGKILL."""
    relay, _ = behind
    process, _ = begin_and_wait(behind, tmp_path, GRACE)
    relay.faults = list(FAULTS[fault])
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    stdout, stderr = process.communicate(timeout=60)
    took = time.monotonic() - asked
    ran = Ran(process.returncode, stdout, stderr)
    assert ran.code == 73, ran
    printed = [line for line in ran.lines if line.get("state") == "cancelled"]
    assert [(line["run_id"], line["attempt"], line["exit_code"]) for line in printed] == [("r", 1, 143)]
    assert kept_ends(tmp_path) == ["runner-r-1.json"]
    assert json.loads((tmp_path / "runner-r-1.json").read_text())["state"] == "cancelled"
    assert took < GRACE + MARGIN, ran


def test_asked_to_stop_after_the_flow_has_died_the_end_is_tried_no_longer_than_the_grace(
    behind: tuple[Relay, Place], tmp_path: Path
) -> None:
    relay, _ = behind
    process, child = begin_and_wait(behind, tmp_path, GRACE)
    relay.faults = list(FAULTS["busy"])
    sofar = len(relay.requests)
    os.kill(child, signal.SIGKILL)
    asked_for(relay, sofar, "GET", "claim.json", process)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    stdout, stderr = process.communicate(timeout=60)
    ran = Ran(process.returncode, stdout, stderr)
    assert time.monotonic() - asked < GRACE + MARGIN, ran
    assert ran.code == 73, ran
    assert [line["state"] for line in ran.lines if "state" in line] == ["crashed"]
    assert kept_ends(tmp_path) == ["runner-r-1.json"]


def test_storage_that_comes_back_within_the_grace_has_the_end_and_nothing_is_kept_beside_it(
    behind: tuple[Relay, Place], tmp_path: Path
) -> None:
    relay, place = behind
    process, _ = begin_and_wait(behind, tmp_path, 10)
    relay.faults = list(FAULTS["busy"])
    sofar = len(relay.requests)
    process.send_signal(signal.SIGTERM)
    asked_for(relay, sofar, "PUT", "end.json", process)
    relay.faults = []
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(place.read("trouble/runs/r/attempts/0001/end.json"))["state"] == "cancelled"
    assert kept_ends(tmp_path) == []
