"""A storage that does what an agent, or whoever submits, asks for, and whose answers get lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from harness.agents.trial import Case, Kill
from harness.faults.proxy import Fault, Proxy
from runner.errors import ReadFailed, Unreachable, WriteFailed
from support.killed_launcher import about
from support.starting import inherited

if TYPE_CHECKING:
    from pathlib import Path

    from harness.agents.scenarios import Scenario
    from harness.agents.trial import Told
    from harness.faults.asked import Asked
    from support.places import Place
    from support.servers import Server

NEVER = Kill("never", "", 1)
AT = ("--at", "2026-11-28T06:00:00Z")
# A storage that is away for longer than this is out of reach; else it would be for 8 s.
HASTY = """
import sys
from runner import cli
from runner.backends.object_store import ObjectStorage
ObjectStorage.retry_seconds = 1.0
sys.exit(cli.main())
"""
AWAY = 3.0  # seconds
AWAY_CODES = (Unreachable.code, WriteFailed.code, ReadFailed.code)


class Loss(NamedTuple):
    """Which answers get lost: to a step that is made for this time; without a step, to that of each kind of step.

    For so many seconds after it nothing is answered, and nothing done.
    """

    step: str
    number: int
    seconds: float = 0.0


class LosingCase(Case):
    """An agent some of whose answers get lost; its containers, and the other agents, reach the storage directly.

    Args:
        scenario: what the agent does.
        loss: what gets lost.
        place: a fresh bucket of the server.
        server: S3.
        folder: for the files of agents and launches.
        others: how many other agents there are.
        beside: whether those are there from the beginning, or come when this one is dead.
    """

    def __init__(
        self,
        scenario: Scenario,
        loss: Loss,
        place: Place,
        server: Server,
        folder: Path,
        *,
        others: int = 1,
        beside: bool = False,
    ) -> None:
        direct = (*scenario.options, "-e", f"AWS_ENDPOINT_URL={server.url}")
        super().__init__(replace(scenario, options=direct), NEVER, place, folder, others=others, beside=beside)
        away = f", and {loss.seconds:g} s" if loss.seconds else ""
        self.told.name = f"{scenario.name}: {loss.step or 'each'} {loss.number}{away}{', beside others' * beside}"
        self.loss, self.lost = loss, list[str]()
        self._proxy = Proxy("s3", server.url)
        self._proxy.fault = self._fault
        self._counts, self._turn = Counter[str](), threading.Lock()
        self._back = float("-inf")

    def run(self) -> Told:
        with self._proxy:
            told = super().run()
        told.is_struck, told.steps = bool(self.lost), list(self._counts.elements())
        return told

    def _fault(self, asked: Asked) -> Fault | None:
        with self._turn:
            if time.monotonic() < self._back:
                return Fault("reset")
            if asked.verb not in {"write", "delete"}:
                return None
            step = f"{asked.verb} {about(asked.key)}"
            self._counts[step] += 1
            if self.loss.step not in {"", step} or self._counts[step] != self.loss.number:
                return None
            self.lost.append(step)
            self._back = time.monotonic() + self.loss.seconds
            return Fault("lost: reset")

    def program(self, kill: Kill | None) -> tuple[str, ...]:
        return ("-c", HASTY) if kill == NEVER else super().program(kill)

    def environ(self, agent: str) -> dict[str, str]:
        through = {"AWS_ENDPOINT_URL": self._proxy.url} if agent in {"victim", "submit"} else {}
        return super().environ(agent) | through

    def submit(self, *run_ids: str) -> None:
        """Submit runs, each until that has succeeded."""
        for run_id in run_ids:
            about_it = ("-p", f"kind={self.scenario.kinds[run_id]}", "--run-id", run_id, *(AT * self.scenario.at))
            command = [sys.executable, "-c", HASTY, "submit", self.site.url, *about_it]
            environ = inherited() | self.environ("submit")
            code = AWAY_CODES[0]
            while code in AWAY_CODES:
                done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
                code = done.returncode
            assert code == 0, done
