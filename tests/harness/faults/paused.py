"""A start that is stopped in a task, whose run another one takes over and finishes, and that wakes then."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.faults import check, processes
from harness.faults.drive import GONE_IN, HELD, Told, evidence
from harness.faults.stages import of_call

if TYPE_CHECKING:
    from harness.faults.ground import Run, Start
    from harness.faults.workers import Worker

PARTS = ("child", "reaper", "supervisor")
WAKES_IN = 20.0  # seconds in which a start that wakes must have ended: heartbeat, deadline of a request, busy machine
ATTEMPTS, MOST_STARTS = 3, 5
CALLS = ("begin", "work", "glue", "small", "large", "finish")


@dataclass(frozen=True)
class PausedCase:
    """`call` is the task that runs when everything stops, `seconds` after its first line."""

    name: str
    backend: str
    call: str
    seconds: float
    order: tuple[str, ...]  # in which the processes wake

    def run(self, worker: Worker) -> Told:
        """Run, once more where something else wakes what was stopped, as a machine does that was suspended."""
        for attempt in range(ATTEMPTS):
            reported = Told(self.name, self.backend)
            parameters = {"seed": 1, "pace": 4.0, "size": 2_000_000}
            with worker.new_run(self.backend, f"{self.name}/{attempt}", parameters) as run:
                whole = self._pause(run, reported, worker)
                reported.starts = len(run.starts)
                if reported.violations:
                    reported.details = evidence(run)
                else:
                    run.clear()
            if whole:
                return reported
        reported.violations.append(f"in {ATTEMPTS} attempts it could not be kept stopped")
        return reported

    def _pause(self, run: Run, reported: Told, worker: Worker) -> bool:
        """Do it; False if it did not stay stopped."""
        first = run.begin()
        reached = of_call(run, first, self.call)
        while not reached():
            if first.process.poll() is not None:
                reported.violations.append(f"the first start ended with {first.process.returncode} before {self.call}")
                return True
            time.sleep(0.001)
        time.sleep(self.seconds)
        stopped = [part for part in PARTS if processes.send(first.process.pid, part, signal.SIGSTOP)]
        run.tell(f"stopped {stopped} in {self.call}")
        family = processes.family(first.process.pid)
        if len(stopped) < len(PARTS) or len(family) < len(PARTS):
            return False
        code = _take_over(run, reported)
        if any(processes.state(pid) != "T" for pid in family.values()):
            return False
        if code != 0:
            reported.violations.append(f"the start that took over ended with {code}")
        else:
            self._wake(run, first, family, reported)
            reported.violations += check.violations(run, 0, worker.undisturbed(1, 2_000_000), "anything")
        return True

    def _wake(self, run: Run, first: Start, family: dict[str, int], reported: Told) -> None:
        before = {key: run.ground.place.read(key) for key in run.listed()}
        for part in self.order:
            processes.send_to(family[part], signal.SIGCONT)
        try:
            reported.codes.append(first.process.wait(WAKES_IN))
        except subprocess.TimeoutExpired:
            reported.violations.append(f"the start that woke still runs after {WAKES_IN:g} s")
            return
        if reported.codes[-1] != HELD:
            reported.violations.append(f"the start that woke ended with {reported.codes[-1]}")
        if left := processes.survivors(first.mark, GONE_IN):
            reported.violations.append(f"of the start that woke there still live {left}")
            processes.end_all(first.mark)
        reported.violations += _changed(run, before)


def _take_over(run: Run, reported: Told) -> int | None:
    """Start again until somebody is not held off: a heartbeat may have been under way when all was stopped."""
    there = check.durable(run)
    code = HELD
    while code == HELD and len(run.starts) < MOST_STARTS:
        run.durable[len(run.starts) + 1] = there
        second = run.begin()
        try:
            code = second.process.wait(60)
        except subprocess.TimeoutExpired:
            return None
        reported.codes.append(code)
    return code


def paused_case(seed: int, index: int, backends: tuple[str, ...]) -> PausedCase:
    name = f"paused/{seed}/{index}"
    chance = random.Random(name)
    order = tuple(chance.sample(PARTS, len(PARTS)))
    call = CALLS[(index // len(backends)) % len(CALLS)]
    return PausedCase(name, backends[index % len(backends)], call, chance.uniform(0, 0.05), order)


def _changed(run: Run, before: dict[str, bytes]) -> list[str]:
    """Compare every byte that the outcome stands on, and every document, with what was there before the waking."""
    outcome = json.loads(before[f"{run.prefix}outcome.json"])
    listed = {task["result"]["key"] for task in outcome["tasks"] if task["result"]}
    fixed = listed | {key for key in before if key.endswith((".json", ".pkl"))}
    changed = [key for key in sorted(fixed) if run.ground.place.read(key) != before[key]]
    new = [key for key in run.listed() if key.endswith(".json") and key not in before]
    return [f"the start that woke changed {changed} and wrote {new}"] if changed or new else []
