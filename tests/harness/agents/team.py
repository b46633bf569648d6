"""Agents with different labels at one storage, the runs that wait for them, and what is true of those in the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

from harness.agents.trial import left_in
from runner.agents.submit import Turn, submit
from runner.launchers.launch import find
from runner.location import parse_location
from runner.runs.cancelling import cancel_run
from runner.runs.status import run_status
from runner.settings import Settings
from support import schemas
from support.starting import inherited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.launchers.base import Launcher
    from support.agents import Site

WAITING = "waiting"  # what is cancelled before there is any agent
NO_IMAGE = "no image"
# What each kind of run comes to: state and exit code.
COMES_TO: dict[str, tuple[str, int | None]] = {
    "ok": ("succeeded", 0),
    "fail": ("failed", 1),
    "segfault": ("crashed", 139),
    "eat": ("crashed", 137),
    "hold": ("cancelled", 143),
    WAITING: ("cancelled", 143),
    NO_IMAGE: ("asked for", None),
}
PATIENCE = 120.0
_LOOKED_AFTER = re.compile(r"^looks after \S+: \S+/runs/(\S+)$", re.MULTILINE)


class Member(NamedTuple):
    """An agent: its labels, its launcher, and the rest of its command line."""

    labels: tuple[str, ...]
    launcher: Launcher
    options: tuple[str, ...]


class Planned(NamedTuple):
    """A run: its kind, and the labels of whoever may launch it."""

    kind: str
    labels: tuple[str, ...] = ()

    @property
    def run_id(self) -> str:
        return "-".join([self.kind.replace(" ", "-"), *self.labels])


class Team:
    """The agents of one storage, each of which is killed once, and followed by another; use as a context.

    Args:
        site: the storage, with the flow of all runs but those of `NO_IMAGE`.
        no_image: the URL of the flow of those.
        members: the agents, by their names.
        planned: the runs, no two of one kind and the same labels.
        folder: for what the agents say.
    """

    def __init__(
        self, site: Site, no_image: str, members: dict[str, Member], planned: list[Planned], folder: Path
    ) -> None:
        self.site, self.members, self.folder = site, members, folder
        self.urls = {NO_IMAGE: no_image}
        self.planned = {each.run_id: each for each in planned}
        self.living: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.living.values():
            agent.kill()
            agent.wait()
        self._stack.close()

    @property
    def held(self) -> list[str]:
        return [run_id for run_id, each in self.planned.items() if each.kind == "hold"]

    def submit(self) -> None:
        """Submit all runs, and cancel those that are to be cancelled while they wait."""
        settings = Settings.from_environ(dict(self.site.place.environ), needs_location=False)
        for run_id, each in self.planned.items():
            found = find(parse_location(self.urls.get(each.kind, self.site.url)), settings)
            submit(found, {"kind": each.kind}, run_id, Turn(each.labels))
            if each.kind == WAITING:
                self.cancel(run_id)

    def cancel(self, *run_ids: str) -> None:
        for run_id in run_ids:
            cancel_run(self.site.store(run_id), "by hand", within=0.0, interval=self.site.beat)

    def start(self, turn: str) -> None:
        """Start all agents; the turn is the end of their names."""
        for name, member in self.members.items():
            labels = [word for label in member.labels for word in ("-l", label)]
            paces = ("--poll", "1", "--beat", "1", "--concurrency", "4")
            given = (member.launcher.kind, "--storage", self.site.place.url, "--name", f"{name}{turn}", *paces, *labels)
            environ = {name: text for name, text in inherited().items() if not name.startswith("COV")}
            output = self._stack.enter_context((self.folder / f"{name}{turn}.log").open("wb"))
            self.living[name] = subprocess.Popen(
                [sys.executable, "-m", "runner", "agent", "start", *given, *member.options],
                env=environ | self.site.place.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """Kill all agents, which leaves what they have launched."""
        for agent in self.living.values():
            agent.kill()
            agent.wait()

    def stop(self) -> list[int]:
        """Ask all agents to end, and return their codes."""
        for agent in self.living.values():
            agent.send_signal(signal.SIGTERM)
        return [agent.wait(PATIENCE) for agent in self.living.values()]

    def has_begun(self, run_id: str) -> bool:
        return self.site.store(run_id).read_heartbeat(1) is not None

    def is_adopted(self, run_id: str) -> bool:
        """Whether an agent that lives looks after a run."""
        return any(marker.endswith(f"-{run_id}") for marker in self.site.markers() if marker.split("-")[0][-1:] == "2")

    def is_over(self, run_id: str) -> bool:
        """Whether a run is over, or is given up, and its container is gone."""
        store = self.site.store(run_id)
        launches = store.list_launches()
        status = run_status(store)
        if self.planned[run_id].kind == WAITING:
            return status.end is not None
        is_ended = status.end is not None or self.planned[run_id].kind == NO_IMAGE
        return is_ended and bool(launches) and store.read_launch_end(launches[-1]) is not None

    def is_quiet(self) -> bool:
        """Whether all runs are over, and nothing is left of them."""
        return all(map(self.is_over, self.planned)) and not left_in(self.site.place.keys()) and not self._objects()

    def _objects(self) -> list[str]:
        """The names of what their platforms still have of the runs."""
        launchers = {member.launcher.kind: member.launcher for member in self.members.values()}
        stores = map(self.site.store, self.planned)
        claims = [store.read_launch(number) for store in stores for number in store.list_launches()]
        return [
            claim["name"]
            for claim in claims
            if claim and launchers[claim["kind"]].describe(claim["name"]).phase != "absent"
        ]

    def violations(self) -> Iterator[str]:
        """What is not as it must be when all agents have left."""
        yield from (f"left behind: {key}" for key in left_in(self.site.place.keys()))
        yield from (f"in the register: {agent}" for agent in self.site.register().folders())
        launchers = self._launchers()
        for run_id, planned in self.planned.items():
            yield from (f"{run_id}: {wrong}" for wrong in self._wrong(run_id, planned, launchers))
        schemas.validate_place(self.site.place)

    def _launchers(self) -> dict[str, set[str]]:
        """Which members have looked after each run."""
        found: dict[str, set[str]] = {}
        for name in self.members:
            for log in self.folder.glob(f"{name}[12].log"):
                for run_id in _LOOKED_AFTER.findall(log.read_text()):
                    found.setdefault(run_id, set()).add(name)
        return found

    def _wrong(self, run_id: str, planned: Planned, launchers: dict[str, set[str]]) -> Iterator[str]:
        store = self.site.store(run_id)
        status, launches = run_status(store), list(store.list_launches())
        state, code = COMES_TO[planned.kind]
        if (status.state, status.end and status.end["exit_code"]) != (state, code):
            yield f"it is {status.state}, {status.end}, and not {state}, {code}"
        attempts = list(store.list_attempts())
        if (launches, attempts) != ([] if planned.kind == WAITING else [1], [] if planned.kind == NO_IMAGE else [1]):
            yield f"launches {launches}, attempts {attempts}"
        able = {name for name, member in self.members.items() if set(member.labels).issuperset(planned.labels)}
        if strangers := launchers.get(run_id, set()) - able:
            yield f"it was looked after by {strangers}"
        kinds = {self.members[name].launcher.kind for name in able}
        for number in launches:
            claimed, end = store.read_launch(number), store.read_launch_end(number)
            if claimed is None or claimed["kind"] not in kinds:
                yield f"it was launched as {claimed}"
            reasons = {"eat": {"OOMKilled"}, NO_IMAGE: {"EnvironmentWrong", "ErrImageNeverPull"}}.get(planned.kind)
            if end is None or (reasons and end["reason"] not in reasons):
                yield f"its launch ended with {end}"

    def evidence(self) -> str:
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log")]
        return "\n".join([self.site.place.url, *logs, "--- keys", *self.site.place.keys()])
