"""Attacks by whoever can write beside the bundle, at the moment when it matters: while a run ends.

Mallory watches the run's folder, and replaces what appears there before it is looked at again.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.canary import AUTHOR
from support.flows import located, publish
from support.places import local_place
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGNING = base64.b64encode(AUTHOR.raw).decode()
TRUSTING = {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text, "RUNNER_SIGNING_KEY": SIGNING}


class Mallory(threading.Thread):
    """Plants junk as the outcome when an attempt is claimed, and a success in place of its end when that appears."""

    def __init__(self, run: Path, forge: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self.run_folder, self.forge = run, forge
        self.over = threading.Event()
        self.planted = False

    def run(self) -> None:
        attempt = self.run_folder / "attempts" / "0001"
        self._wait(attempt / "claim.json")
        (self.run_folder / "outcome.json").write_bytes(b"junk")
        self._wait(attempt / "end.json")
        if not self.over.is_set():
            forged = json.dumps(self.forge(json.loads((attempt / "end.json").read_bytes()))).encode() + b"\n"
            for path in (attempt / "end.json", self.run_folder / "outcome.json"):
                path.with_name("new").write_bytes(forged)
                path.with_name("new").replace(path)
            self.planted = True

    def _wait(self, path: Path) -> None:
        while not path.exists() and not self.over.is_set():
            self.over.wait(0.0005)


def as_success(end: dict[str, Any]) -> dict[str, Any]:
    """The end with its own token, as everybody can read it, and without a signature."""
    end.pop("signature", None)
    return end | {"state": "succeeded", "exit_code": 0, "error": None, "tasks": []}


@pytest.mark.parametrize("trust", [TRUSTING, {}], ids=["with trusted keys", "without keys"])
def test_a_failed_flow_is_never_made_to_end_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: dict[str, str]
) -> None:
    """She has the token of the attempt's end, and every moment between its end and its exit."""
    place = local_place(tmp_path / "storage")
    if trust:
        monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING)
    version = publish(place, "trouble.py").rpartition("/")[2]
    planted = 0
    for number in range(6):
        environ = located(place, f"trouble/{version}") | {"RUNNER_RUN_ID": f"r{number}"} | trust
        mallory = Mallory(tmp_path / "storage" / "trouble" / "runs" / f"r{number}", as_success)
        mallory.start()
        done = start(environ | {"RUNNER_PARAMETERS": '{"kind": "fail"}'})
        mallory.over.set()
        mallory.join()
        planted += mallory.planted
        assert done.code in {1, 73, 79}, done
    assert planted > 0  # else nothing was shown
