"""One round: a flow fails while somebody, in a loop, plants a success wherever the end of its attempt may be read.

She can read, write and list the bucket. She has the token of the attempt's end as soon as that is stored.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.runs.documents import encode
from runner.runs.layout import RunLayout
from support.canary import AUTHOR
from support.flows import located
from support.starting import start

if TYPE_CHECKING:
    from support.places import Place

FLOW = "trouble"
TRUSTING = {
    "RUNNER_TRUSTED_KEYS": AUTHOR.public.text,
    "RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode(),
}


class Round(NamedTuple):
    """What came of one start: its exit code, and how often a success was planted before it ended."""

    code: int
    planted: int


class Mallory(threading.Thread):
    """Plants what is no document as the outcome when an attempt is claimed, and successes from when it has its end."""

    def __init__(self, place: Place, run_id: str, *, spoils_outcome: bool) -> None:
        super().__init__(daemon=True)
        self.place, self.layout, self.spoils_outcome = place, RunLayout(FLOW, run_id), spoils_outcome
        self.over = threading.Event()
        self.planted = 0
        self.start()

    def run(self) -> None:
        if self.spoils_outcome and self._wait_for(self.layout.claim(1)):
            self.place.write(self.layout.outcome, b"junk")
        if found := self._wait_for(self.layout.end(1)):
            end: dict[str, Any] = json.loads(found)
            end.pop("signature", None)
            forged = encode(end | {"state": "succeeded", "exit_code": 0, "error": None, "tasks": []})
            while not self.over.is_set():
                self._plant(self.layout.end(1), forged)
                self._plant(self.layout.outcome, forged)
                self.planted += 1

    def _plant(self, key: str, data: bytes) -> None:
        """Store at once and whole, as only a bucket does by itself."""
        if self.place.word == "local":
            path = Path(self.place.open()._path(key))  # type: ignore[attr-defined]
            path.with_name("new").write_bytes(data)
            path.with_name("new").replace(path)
        else:
            self.place.write(key, data)

    def _wait_for(self, key: str) -> bytes:
        while not self.over.wait(0.0005):
            with contextlib.suppress(Exception):  # it is not there yet, in the words of each SDK
                return self.place.read(key)
        return b""


def attack(place: Place, version: str, number: int) -> Round:
    """Start the flow under a new run id, with trusted keys every second time, against Mallory."""
    run_id = f"r{number}"
    mallory = Mallory(place, run_id, spoils_outcome=number % 4 < 2)
    try:
        trust = TRUSTING if number % 2 else {}
        environ = {"RUNNER_RUN_ID": run_id, "RUNNER_PARAMETERS": '{"kind": "fail"}', **trust}
        done = start(located(place, f"{FLOW}/{version}") | environ)
        return Round(done.code, mallory.planted)
    finally:
        mallory.over.set()
        mallory.join()
