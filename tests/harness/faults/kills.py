"""Kills of a run's processes at named stages and at random moments, several in each run."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from harness.faults import processes
from harness.faults.drive import HELD, TROUBLE, Told, finish
from harness.faults.ground import BACKENDS
from harness.faults.processes import TARGETS
from harness.faults.proxy import Hook
from harness.faults.stages import RANDOM, STAGES, Stage, in_folder, of_call, of_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.faults.asked import Asked
    from harness.faults.ground import Run, Start
    from harness.faults.workers import Worker

PER_RUN = 4  # at random moments
CLAIMED = 0.9  # of these are counted from the claim, the rest from the start
STRUCK = "counted"  # it hit a living attempt before its end was written
OUTSIDE = "outside an attempt"  # it hit a process that had no claim yet, or whose end was written
MISSED = "missed"  # the stage did not come, or the process was gone
_CLAIM = re.compile(r"attempts/(\d{4})/claim\.json$")


@dataclass(frozen=True)
class Kill:
    """`stage` is None for a random moment, which is `seconds` after the claim, or after the start."""

    target: str
    stage: Stage | None = None
    seconds: float = 0.0
    claimed: bool = True

    @property
    def at(self) -> str:
        return str(self.stage or RANDOM)


@dataclass(frozen=True)
class KillCase:
    """A run and what is done to it, one kill for each start."""

    name: str
    backend: str
    seed: int
    kills: tuple[Kill, ...]
    pace: float
    size: int

    def run(self, worker: Worker) -> Told:
        """Run, kill, and start again until it is over."""
        return _run(self, worker)


def named_cases(seed: int, backends: tuple[str, ...] = BACKENDS, targets: tuple[str, ...] = TARGETS) -> list[KillCase]:
    """Give cases in which each stage is met with each target once, where a backend shows that stage."""
    cases = []
    for backend in backends:
        cells: dict[str, list[Kill]] = {"early": [], "middle": [], "slow": [], "late": []}
        for stage in STAGES:
            if backend != "local" or stage.local:
                cells[stage.part] += [Kill(target, stage) for target in targets]
        # two in a run: the first leaves enough undone for the second to be met
        pairs = chain(zip_longest(cells["early"], cells["middle"]), zip_longest(cells["slow"], cells["late"]))
        for index, pair in enumerate(pairs):
            kills = tuple(kill for kill in pair if kill)
            slow = kills[0].stage and kills[0].stage.part == "slow"
            pace = (12.0 if backend == "gcs" else 5.0) if slow else 1.0  # for a heartbeat, or two
            cases.append(_case(f"named/{seed}/{backend}/{index}", backend, kills, pace))
    random.Random(seed).shuffle(cases)
    return cases


def random_case(seed: int, index: int, backends: tuple[str, ...] = BACKENDS) -> KillCase:
    name = f"random/{seed}/{index}"
    chance = random.Random(name)
    kills = tuple(
        # what is left to do gets less
        Kill(TARGETS[(index + number) % 4], None, chance.uniform(0, 0.6 / (number + 1)), chance.random() < CLAIMED)
        for number in range(PER_RUN)
    )
    return _case(name, backends[index % len(backends)], kills, 4.0)


def _case(name: str, backend: str, kills: tuple[Kill, ...], pace: float) -> KillCase:
    chance = random.Random(name)
    in_parts = chance.random() < 0.03  # the streamed result is then sent in parts, or in several requests
    return KillCase(name, backend, chance.randrange(3), kills, pace, 9_000_000 if in_parts else 2_000_000)


def _run(case: KillCase, worker: Worker) -> Told:
    reported = Told(case.name, case.backend, kills=Counter())
    assert reported.kills is not None
    parameters = {"seed": case.seed, "pace": case.pace, "size": case.size}
    blows: list[Blow] = []
    with worker.new_run(case.backend, case.name, parameters) as run:

        def disturb(start: Start) -> None:
            if start.number <= len(case.kills):
                blows.append(Blow(run, start, case.kills[start.number - 1]))
                blows[-1].watch()

        def allowed(start: Start, code: int) -> bool:
            kill = blows[start.number - 1] if start.number <= len(blows) else None
            if kill is None or kill.outcome == MISSED:
                return code == HELD
            if kill.kill.target in {"supervisor", "both"}:
                return code == -9
            return code in {137, *TROUBLE}

        finish(run, reported, worker.undisturbed(case.seed, case.size), disturb, allowed)
        for blow in blows:
            reported.kills[blow.kill.at, blow.kill.target, blow.outcome] += 1
        for kill in case.kills[len(blows) :]:
            reported.kills[kill.at, kill.target, MISSED] += 1
        if not reported.violations:
            run.clear()
    return reported


class Blow:
    """One kill of one start: waits for its moment, strikes once, and knows what it hit."""

    def __init__(self, run: Run, start: Start, kill: Kill) -> None:
        self.run, self.start, self.kill = run, start, kill
        self.outcome = MISSED
        self.struck = False

    def watch(self) -> None:
        """Wait for the stage, and strike there; returns when it is done, or the start is over."""
        stage, run = self.kill.stage, self.run
        if stage is None:
            self._wait(self._claimed if self.kill.claimed else lambda: True, self.kill.seconds)
        elif stage.call:
            self._wait(of_call(run, self.start, stage.call), 0)
        elif run.folder:
            self._wait(in_folder(stage, run.folder, self.start.before), 0)
        elif run.proxy:
            assert stage.when != "in"
            late = 0.6 if stage.when == "late" else 0.0  # then the next start may be there already
            with run.proxy.turn:
                run.proxy.hooks.append(Hook(stage.when, self._meets(of_request(stage), stage), self.strike, late))

    def _meets(self, asked: Callable[[Asked], bool], stage: Stage) -> Callable[[Asked], bool]:
        """Tell an attempt's own end from the one that it wrote for another before it was claimed."""
        if stage.claimed is None:
            return asked
        return lambda request: asked(request) and self._claimed() == stage.claimed

    def _wait(self, reached: Callable[[], bool], seconds: float) -> None:
        while self.start.process.poll() is None:
            if reached():
                time.sleep(seconds)
                self.strike()
                return
            time.sleep(0.001)

    def strike(self) -> bool:
        """Kill, and note whom; gives whether anybody was hit."""
        with self.start.turn:
            if self.struck or self.start.process.poll() is not None:
                return False
            self.struck = True
            if self.run.proxy:
                with self.run.proxy.turn:
                    claimed, ended = self._claimed(), self._ended()
                    hit = processes.send(self.start.process.pid, self.kill.target)
            else:
                claimed = self._claimed()
                hit = processes.send(self.start.process.pid, self.kill.target)
                ended = self._ended()
            if hit:
                self.start.hurt = True
                self.outcome = STRUCK if claimed and not ended else OUTSIDE
            what = f"{self.kill.target} {hit} killed {self.kill.at} at {time.time():.3f}: {self.outcome}"
            self.run.tell(f"start {self.start.number}: {what}")
            return bool(hit)

    def _attempts(self) -> set[int]:
        """The attempts that this start has claimed."""
        if self.run.proxy:
            return {int(found[1]) for key in list(self.run.proxy.stored) if (found := _CLAIM.search(key))}
        assert self.run.folder
        return self.run.attempts() - self.start.before

    def _claimed(self) -> bool:
        return bool(self._attempts())

    def _ended(self) -> bool:
        ends = [f"attempts/{number:04d}/end.json" for number in self._attempts()]
        if self.run.proxy:
            return any(self.run.prefix + end in self.run.proxy.sent for end in ends)
        assert self.run.folder
        # the supervisor of a child that was killed may have written one by now, but not one that concludes
        return any(
            (self.run.folder / end).exists() and b'"succeeded"' in (self.run.folder / end).read_bytes() for end in ends
        )
