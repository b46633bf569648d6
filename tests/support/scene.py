"""A signed flow of which a run was cut off or has ended, and what somebody who can write to the bucket does to it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from runner.runs import documents
from runner.runs.layout import SIGNATURE, RunLayout
from runner.runs.trailer import trailer
from support.canary import AUTHOR, Canary
from support.flows import located, publish
from support.starting import KEPT, Ran, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.places import Place

FOLDER = RunLayout("steps", "r")
SIGNING = base64.b64encode(AUTHOR.raw).decode()


class Scene:
    """A signed flow, of which a run was cut off or has ended, and what Mallory does to it."""

    def __init__(self, place: Place, notes: Path, canary: Canary) -> None:
        self.place, self.notes, self.canary = place, notes, canary
        self.url = publish(place, "steps.py")

    def environ(self, kind: str = "go on", **more: str) -> dict[str, str]:
        given = json.dumps({"folder": str(self.notes), "kind": kind})
        return {
            **located(self.place, f"steps/{self.url.rpartition('/')[2]}"),
            "RUNNER_PARAMETERS": given,
            "RUNNER_RUN_ID": "r",
            "RUNNER_HEARTBEAT": "0.3",
            "RUNNER_TRUSTED_KEYS": AUTHOR.public.text,
            "RUNNER_SIGNING_KEY": SIGNING,
            **more,
        }

    def run(self, kind: str = "go on", **more: str) -> Ran:
        return start(self.environ(kind, **more))

    def cut_off(self, run_id: str = "r") -> None:
        """Have an attempt killed in the last task, when all before it is durable."""
        assert self.go_on_when_durable("hold and abort", RUNNER_RUN_ID=run_id) == 134

    def go_on_when_durable(self, kind: str, **more: str) -> int:
        """Hold the last task until all before it are durable, let it go on, and return the exit code."""
        environ = self.environ(kind, **more)
        folder = RunLayout("steps", environ["RUNNER_RUN_ID"])
        durable = {folder.result(1, "each", index) for index in range(4)}
        durable |= {folder.result(1, name, None) for name in ("first", "after")}
        process = begin(environ)
        wait_for(lambda: durable <= set(self.place.keys()))
        (self.notes / "go on").touch()
        return process.wait(60)

    def calls(self) -> list[str]:
        return [line.partition(" ")[0] for line in (self.notes / "calls").read_text().splitlines()]

    def planted(self) -> bytes:
        """Make a result that is whole, and that would let the canary sing."""
        pickled: bytes = self.canary.pickled
        return pickled + trailer(len(pickled), hashlib.sha256(pickled).digest())

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.place.open().delete(key)

    def document(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.read(key))
        return found

    def write(self, key: str, document: dict[str, Any]) -> None:
        self.place.write(key, documents.encode(document))


def begin(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [sys.executable, "-m", "runner"]
    return subprocess.Popen(command, env=inherited | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def move(scene: Scene, source: str, target: str) -> None:
    for suffix in ("", SIGNATURE):
        scene.place.write(f"{target}{suffix}", scene.place.read(f"{source}{suffix}"))


def look(scene: Scene, *arguments: str) -> Ran:
    return start({"RUNNER_TRUSTED_KEYS": AUTHOR.public.text, **scene.place.environ}, *arguments)
