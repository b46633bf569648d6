"""Agents that launch processes of this machine, and runs that wait for them."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.agents.queue import Queue
from runner.agents.register import Register
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support.flows import publish
from support.launching import wait_for
from support.starting import inherited, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.schema.documents import AgentDocument
    from support.places import Place
    from support.starting import Ran

KEY = "launched"
KILLED_LAUNCHER = str(Path(__file__).with_name("killed_launcher.py"))


@dataclass
class Site:
    """A place with a flow, and agents that take its runs; what they launch keeps its files in ``folder``."""

    place: Place
    folder: Path
    url: str = ""
    environ: dict[str, str] = field(default_factory=dict)

    def publish(
        self, *labels: str, concurrency: Any = None, image: str | None = None, secrets: tuple[str, ...] = ()
    ) -> Site:
        declared = {"own_labels": labels, "add_default_labels": False, "secrets": secrets}
        self.url = publish(self.place, "launched.py", concurrency=concurrency, image=image, **declared)
        return self

    def submit(self, kind: str, run_id: str, *more: str) -> Ran:
        arguments = ("submit", self.url, "-p", f"kind={kind}", "--run-id", run_id, *more)
        return start(self.place.environ | self.environ, *arguments)

    @property
    def beat(self) -> float:
        """Seconds between two heartbeats; Google's storage takes one write a second."""
        return 1.0 if self.place.word == "gcs" else 0.5

    def agent_command(self, *more: str, program: tuple[str, ...] = ("-m", "runner")) -> list[str]:
        pace = ("--storage", self.place.url, "--poll", "0.2", "--beat", str(self.beat))
        options = ("-O", f"folder={self.folder}", "-e", f"RUNNER_HEARTBEAT={self.beat}", "-e", "RUNNER_GRACE=2")
        return [sys.executable, *program, "agent", "start", "local", *pace, *options, *more]

    @contextmanager
    def agent(self, *more: str, program: tuple[str, ...] = ("-m", "runner")) -> Iterator[subprocess.Popen[str]]:
        """Start an agent, which is asked to stop in the end."""
        started = subprocess.Popen(
            self.agent_command(*more, program=program),
            env=inherited() | self.place.environ | self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                print(started.communicate(timeout=60)[0])
            finally:
                started.kill()

    def store(self, run_id: str) -> RunStore:
        return RunStore(self.place.open(), RunLayout(KEY, run_id))

    def queue(self) -> Queue:
        return Queue(self.place.open(), "")

    def register(self) -> Register:
        return Register(self.place.open(), "")

    def is_waiting(self, run_id: str) -> bool:
        return any("/_queue/" in f"/{key}" and key.endswith(f"-{run_id}") for key in self.place.keys())  # noqa: SIM118

    def markers(self) -> list[str]:
        """The markers of all agents, as ``<agent>/runs/<run>``."""
        return [
            f"{agent}/{name}" for agent, names in self.register().folders().items() for name in names if "/" in name
        ]

    def until_over(self, *run_ids: str) -> dict[str, str]:
        """Wait until these runs are over, and give their states."""
        states: dict[str, str] = {}

        def are_over() -> bool:
            for run_id in run_ids:
                if run_id not in states and (outcome := self.store(run_id).read_outcome()):
                    states[run_id] = outcome["state"]
            return len(states) == len(run_ids)

        wait_for(are_over)
        return states

    def until_running(self, run_id: str) -> None:
        wait_for(lambda: any("/beat" in key for key in self.place.keys() if f"/{run_id}/" in key))  # noqa: SIM118


def agent_of(name: str, kind: str, *labels: str) -> AgentDocument:
    """What an agent of this name says of itself."""
    return {
        "format": 1,
        "token": "0" * 32,
        "agent": name,
        "kind": kind,
        "labels": list(labels),
        "concurrency": 1,
        "beat": 1.0,
        "version": "0.1.0",
        "pid": 1,
        "started": "2026-11-28T06:00:00.000000+00:00",
        "by": {"host": "h", "uid": None},
    }
