"""Storage that answers late, but answers, is no death: the beats come through, and nobody takes the run over."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from support.contract import METHODS, endpoint, through
from support.flows import publish
from support.process_runs import begin, trouble, wait_for
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place

HEARTBEAT = 3.0
LATENCY = 0.4 * HEARTBEAT  # what docs/reliability.md says that still works


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_beats_come_through_storage_that_answers_each_request_late(place: Place, tmp_path: Path) -> None:
    """Each answer came 4 s late, with 15 s between beats: none was stored, and all was done twice."""
    publish(place, "trouble.py")
    with Relay(f"http://{endpoint(place)}") as relay:
        slow = through(place, relay.port, endpoint(place))
        more = {"RUNNER_HEARTBEAT": str(HEARTBEAT)}
        process = begin(trouble(slow, "wait", file=str(tmp_path / "marker"), **more))
        try:
            wait_for(tmp_path / "marker", process)
            relay.faults = [Fault("late", method, seconds=LATENCY) for method in METHODS]
            beats = set[int]()
            until = time.monotonic() + 90
            while len(beats) < 4:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until, beats
                if "trouble/runs/r/attempts/0001/beat" in place.keys():  # noqa: SIM118 - it is no dict
                    beats.add(json.loads(place.read("trouble/runs/r/attempts/0001/beat"))["beat"])
                relay.over.wait(0.2)
            (tmp_path / "marker").unlink()
            other = start(trouble(place, "wait", file=str(tmp_path / "marker"), **more))
            assert (other.code, (tmp_path / "marker").exists()) == (75, False), other
        finally:
            process.kill()
            process.communicate()
