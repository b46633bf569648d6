"""Twelve starts at once with one run id: one runs, the others are held off or repeat its outcome."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.faults import check, processes
from harness.faults.drive import GONE_IN, HELD, PATIENCE, Told, evidence
from harness.faults.stages import of_call

if TYPE_CHECKING:
    from harness.faults.ground import Run
    from harness.faults.workers import Worker

STARTS = 12
# Seconds. On a machine with fewer processors than starts a heartbeat may be late by a second, and who is late three
# times is taken for dead: then two run, one after the other, as the contract has it, which is not what is shown here.
BEAT = 2.0
BEAT_OF_ONE = 1.0  # of the attempt that is killed before: here nobody is late


@dataclass(frozen=True)
class TogetherCase:
    """A round; in every other one there was an attempt before, which was killed with its supervisor."""

    name: str
    backend: str
    after_a_kill: bool

    def run(self, worker: Worker) -> Told:
        reported = Told(self.name, self.backend)
        parameters = {"seed": 1, "pace": 3.0, "size": 2_000_000}
        began = time.monotonic()
        with worker.new_run(self.backend, self.name, parameters, BEAT) as run:
            if self.after_a_kill:
                _kill_one(run)
            there = check.durable(run)
            begun = [run.begin() for _ in range(STARTS)]
            run.durable = {start.number: there for start in begun}
            for start in begun:
                try:
                    reported.codes.append(start.process.wait(PATIENCE))
                except subprocess.TimeoutExpired:
                    reported.violations.append(f"start {start.number} took longer than {PATIENCE:g} s")
            reported.starts, reported.seconds = STARTS, time.monotonic() - began
            calls = [call for call in run.calls() if call[0] in run.durable and call[1] != "loading"]
            ran, called = {number for number, *_ in calls}, Counter((name, index) for _, name, index in calls)
            # what the first had sent when it was killed may have arrived a little later
            earlier = check.durable(run, "0001") if self.after_a_kill else set()
            whole = {*check.KEPT, ("glue", None)}
            if len(ran) != 1 or set(called.values()) != {1} or set(called) | earlier != whole:
                reported.violations.append(f"not one of them ran what was left of the flow, once, but {ran}: {called}")
            if reported.codes.count(0) < 1 or set(reported.codes) - {0, HELD}:
                reported.violations.append(f"the starts ended with {reported.codes}")
            for start in begun:
                if left := processes.survivors(start.mark, GONE_IN):
                    reported.violations.append(f"of start {start.number} there still live {left}")
                    processes.end_all(start.mark)
            reported.violations += check.violations(run, 0, worker.undisturbed(1, 2_000_000), "nothing")
            if reported.violations:
                reported.details = evidence(run)
            else:
                run.clear()
        return reported


def _kill_one(run: Run) -> None:
    """Begin the run, and kill it among the elements of its mapped task, so that twelve find it given up."""
    run.beat = BEAT_OF_ONE
    first = run.begin()
    reached = of_call(run, first, "work")
    while not reached():
        assert first.process.poll() is None, first.output.read_text()
        time.sleep(0.001)
    assert processes.send(first.process.pid, "both")
    first.process.wait()
    run.beat = BEAT


def together_case(seed: int, index: int, backends: tuple[str, ...]) -> TogetherCase:
    after_a_kill = bool(index // len(backends) % 2)
    return TogetherCase(f"together/{seed}/{index}", backends[index % len(backends)], after_a_kill)
