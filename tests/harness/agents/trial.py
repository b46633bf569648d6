"""Kill an agent at a step, let others live on, and look at what became of the runs, and at what was left behind."""

from __future__ import annotations

import itertools
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.agents.scenarios import GIVEN_UP, RUNNING
from runner.agents.slots import Slots
from runner.agents.submit import Turn, submit
from runner.launchers.launch import find
from runner.location import parse_location
from runner.runs.cancelling import cancel_run
from runner.settings import Settings
from support import schemas
from support.agents import KEY, KILLED_LAUNCHER, Site
from support.starting import inherited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.agents.scenarios import Scenario
    from runner.schema.documents import ClaimDocument, EndDocument
    from support.places import Place

PATIENCE = 120.0  # seconds for what must come; the machine is busy
_STEP = re.compile(r"^step (.+)$", re.MULTILINE)


class Kill(NamedTuple):
    """When an agent is killed: before or after a step is made for this time; ``never`` is no kill."""

    moment: str
    step: str
    number: int


class Late(AssertionError):
    """What had to come did not."""


@dataclass
class Told:
    """What became of one case."""

    name: str
    is_struck: bool = False
    violations: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Case:
    """One agent that is killed, the runs that it had, and the others that live on.

    Args:
        scenario: what the agent does.
        kill: when it is killed.
        place: a fresh root.
        folder: for the files of agents and launches.
        others: how many live on.
        beside: whether those are there from the beginning, or come when it is dead.
    """

    def __init__(
        self, scenario: Scenario, kill: Kill, place: Place, folder: Path, *, others: int = 1, beside: bool = False
    ) -> None:
        self.scenario, self.kill, self.others, self.beside = scenario, kill, others, beside
        folder.mkdir(parents=True)
        self.site = Site(place, folder / "launches").publish(concurrency=scenario.concurrency)
        self.folder = folder
        self.told = Told(f"{scenario.name}: {kill.moment} {kill.step} {kill.number}{', beside others' * beside}")
        self._numbers = itertools.count(1)
        self._living: list[subprocess.Popen[bytes]] = []

    def run(self) -> Told:
        began = time.monotonic()
        with ExitStack() as stack:
            try:
                self._play(stack)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong is told with its evidence
                self.told.violations.append(f"{type(error).__name__}: {error}")
        if not self.told.violations:
            self.told.violations += self.violations()
        if self.told.violations:
            self.told.violations.append(self.evidence())
        self.told.seconds = time.monotonic() - began
        return self.told

    def _play(self, stack: ExitStack) -> None:
        scenario = self.scenario
        self.submit(*(run_id for run_id in scenario.kinds if run_id not in scenario.late))
        if scenario.first:
            self._let_one_die(scenario.first, stack)
        if self.beside:
            self._start_others(stack)
        victim = stack.enter_context(self.agent("victim", self.kill))
        self._disturb(victim)
        self.wait_for(lambda: victim.poll() is not None or self.is_quiet("victim"), "the end")
        self.told.is_struck = victim.poll() == -signal.SIGKILL
        victim.kill()
        victim.wait()
        self.told.steps = _STEP.findall((self.folder / "victim.log").read_text())
        if not self.beside:
            self._start_others(stack)
        self._disturb(None)
        self.wait_for(self.is_quiet, "quiet")
        for agent in self._living:
            agent.send_signal(signal.SIGTERM)
        for agent in self._living:
            if code := agent.wait(PATIENCE):
                self.told.violations.append(f"an agent ended with {code}")

    def _start_others(self, stack: ExitStack) -> None:
        self._living += [stack.enter_context(self.agent(f"other{number}")) for number in range(self.others)]

    def _let_one_die(self, step: tuple[str, int], stack: ExitStack) -> None:
        """Let an agent have the runs first, and kill it."""
        kill = Kill("after", *step)
        first = stack.enter_context(self.agent("first", None if step == RUNNING else kill))
        if step == RUNNING:
            self.wait_for(lambda: all(map(self.has_begun, self.scenario.held)), "a beginning")
            first.kill()
        first.wait(PATIENCE)

    def _disturb(self, victim: subprocess.Popen[bytes] | None) -> None:
        """Do what people do while the runs work, which may be when another agent has taken them."""

        def is_ready() -> bool:
            if victim and not self.beside and victim.poll() is not None:
                return True
            return all(map(self.has_begun, self.scenario.held))

        self.wait_for(is_ready, "a beginning")
        if not all(map(self.has_begun, self.scenario.held)):
            return
        self.submit(*self.scenario.late)
        if victim and self.scenario.stops:
            victim.send_signal(signal.SIGTERM)
        elif self.scenario.cancels:
            cancel_run(self.site.store(self.scenario.cancels), "by hand", within=0.0, interval=self.site.beat)

    def submit(self, *run_ids: str) -> None:
        for run_id in run_ids:
            settings = Settings.from_environ(dict(self.site.place.environ), needs_location=False)
            turn = Turn(at="2026-11-28T06:00:00.000000+00:00" if self.scenario.at else None)
            submit(find(parse_location(self.site.url), settings), {"kind": self.scenario.kinds[run_id]}, run_id, turn)

    def program(self, kill: Kill | None) -> tuple[str, ...]:
        """What an agent is."""
        return (KILLED_LAUNCHER, kill.moment, kill.step, str(kill.number)) if kill else ("-m", "runner")

    def environ(self, _agent: str) -> dict[str, str]:
        """What opens the storage for an agent of this name."""
        return self.site.place.environ

    @contextmanager
    def agent(self, name: str, kill: Kill | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Start an agent, which is killed in the end if it is still there."""
        heard = f'echo "$RUNNER_STATE $RUNNER_RUN_URL" >>{shlex.quote(str(self.folder))}/heard'
        options = (*self.scenario.options, "--name", name, "--on-outcome", heard)
        with (self.folder / f"{name}.log").open("wb") as output:
            started = subprocess.Popen(
                self.site.agent_command(*options, program=self.program(kill)),
                # what is killed writes no coverage, and to measure it would take the time of what is not
                env={name: text for name, text in inherited().items() if not name.startswith("COV")}
                | self.environ(name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield started
        finally:
            started.kill()
            started.wait()

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise Late(f"no {what} within {PATIENCE:g} s")
            time.sleep(0.1)

    def has_begun(self, run_id: str) -> bool:
        """Return whether a run works, or is over."""
        store = self.site.store(run_id)
        attempts = store.list_attempts()
        return bool(attempts and store.read_heartbeat(attempts[-1]) is not None) or store.read_outcome() is not None

    def is_over(self, run_id: str) -> bool:
        store = self.site.store(run_id)
        if self.scenario.state(run_id) != GIVEN_UP:
            return store.read_outcome() is not None
        launches, attempts = store.list_launches(), store.list_attempts()
        ends = (
            bool(launches) and store.read_launch_end(launches[-1]),
            bool(attempts) and store.read_end(attempts[-1]),
        )
        return all(ends)

    def is_quiet(self, *others: str) -> bool:
        """Return whether all runs are over, and nothing is left but agents that live."""
        living = {*others, *(f"other{number}" for number in range(len(self._living)))}
        there = {name.rpartition("-")[0] for name in self.site.register().folders()}
        return there == living and all(map(self.is_over, self.scenario.kinds)) and not self.left()

    def left(self) -> list[str]:
        """What is there of runs that wait, or are looked after."""
        return [*left_in(self.site.place.keys()), *(str(path) for path in self.site.folder.glob("*") if path.is_dir())]

    def violations(self) -> list[str]:
        """Return what is not as it must be when all is over and all agents have left."""
        found = [f"left behind: {each}" for each in (*self.left(), *self.site.register().folders())]
        if self.scenario.concurrency and (owners := Slots(self.site.place.open(), KEY, range(1)).owners()):
            found.append(f"slots are had by {owners}")
        heard = (self.folder / "heard").read_text() if (self.folder / "heard").exists() else ""
        for run_id in self.scenario.kinds:
            found += [f"{run_id}: {each}" for each in self._wrong(run_id, heard)]
        schemas.validate_place(self.site.place)
        return found

    def _wrong(self, run_id: str, heard: str) -> Iterator[str]:
        store, state = self.site.store(run_id), self.scenario.state(run_id)
        outcome = store.read_outcome()
        launches, attempts = list(store.list_launches()), list(store.list_attempts())
        if (outcome["state"] if outcome else GIVEN_UP) != state:
            yield f"it is {outcome and outcome['state']}, and not {state}"
        if outcome and f"{state} {store.url}\n" not in heard:
            yield "nobody was told"
        begun = [(claim, end) for claim, end in self._attempts(run_id) if claim and "launch" in claim]
        if len(launches) != self.scenario.launches or [claim["launch"] for claim, _ in begun] != launches:
            yield f"launches {launches}, attempts {attempts}"
        if open_launches := [number for number in launches if not store.read_launch_end(number)]:
            yield f"launches without an end: {open_launches}"
        spans = [(claim["started"], end["ended"]) for claim, end in begun if end]
        if len(spans) != len(begun):
            yield f"attempts without an end, of {attempts}"
        if any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans)):
            yield f"attempts at once: {spans}"

    def _attempts(self, run_id: str) -> list[tuple[ClaimDocument | None, EndDocument | None]]:
        store = self.site.store(run_id)
        return [(store.read_claim(number), store.read_end(number)) for number in store.list_attempts()]

    def evidence(self) -> str:
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-5000:]}" for path in self.folder.glob("*.log")]
        return "\n".join([*logs, "--- keys", *self.site.place.keys()])


def left_in(keys: list[str]) -> list[str]:
    """Return what is there of runs that wait, or are looked after."""
    return [key for key in keys if re.match(r"_queue/(?!ring$|sets/|\.tmp-)|_agents/[^/]+/runs/(?!\.tmp-)", key)]


def kills_of(steps: list[str]) -> list[Kill]:
    """Return a kill for each kind of step that an agent made: before it, and after what changes something.

    So it is for the first time of each, and, after it, for the second.
    """
    counts = Counter(steps)
    first = [Kill("before", step, 1) for step in counts]
    changes = [step for step in counts if not re.match("read|list|describe|logs", step)]
    again = [step for step in changes if counts[step] > 1]
    return [*first, *(Kill("after", step, 1) for step in changes), *(Kill("after", step, 2) for step in again)]
