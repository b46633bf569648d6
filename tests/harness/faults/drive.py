"""Start a run again and again, whatever is done to it, until it is over, and look at what became of it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.faults import check, processes

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from harness.faults.ground import Run, Start

MOST_STARTS = 40
PATIENCE = 90.0  # seconds for one start
GONE_IN = 3.0  # seconds in which everything of a start is gone after its supervisor; this machine is busy
TROUBLE = {69, 73, 74}  # what storage may do to a start
HELD = 75


@dataclass
class Told:
    """What became of one run; it travels between processes."""

    case: str
    backend: str
    starts: int = 0
    codes: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    kills: Counter[tuple[str, str, str]] | None = None  # (stage, target, what became of the kill)
    faults: Counter[str] | None = None
    details: str = ""
    seconds: float = 0.0


def finish(
    run: Run,
    reported: Told,
    undisturbed: Mapping[check.Label, str],
    disturb: Callable[[Start], object],
    allowed: Callable[[Start, int], bool],
) -> None:
    """Start the run until it is over; `disturb` is called with each start, `allowed` says which exits are in order.

    A start whose exit is allowed though it is not 0 is followed by another one.
    """
    began = time.monotonic()
    for _ in range(MOST_STARTS):
        run.durable[len(run.starts) + 1] = check.durable(run)
        claims = sum(key.endswith("/claim.json") for key in run.listed())
        if run.proxy:
            run.proxy.forget()
        start = run.begin()
        disturb(start)
        try:
            code = start.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            reported.violations.append(f"start {start.number} took longer than {PATIENCE:g} s")
            break
        with start.turn:  # the one that killed it may not have noted that yet
            if run.proxy:
                run.proxy.hooks = []
        reported.codes.append(code)
        run.tell(f"start {start.number}: exit code {code}")
        if left := processes.survivors(start.mark, GONE_IN):
            reported.violations.append(f"of start {start.number}, which ended with {code}, there still live {left}")
            processes.end_all(start.mark)
        if code == 0:
            own = sum(key.endswith("/claim.json") for key in run.listed()) > claims
            reported.violations += check.violations(
                run, code, undisturbed, "nothing" if own and not start.hurt else "last"
            )
            break
        if not allowed(start, code):
            reported.violations.append(f"start {start.number} ended with {code}")
    else:
        reported.violations.append(f"the run is not over after {MOST_STARTS} starts")
    reported.starts, reported.seconds = len(run.starts), time.monotonic() - began
    if reported.violations:
        reported.details = evidence(run)


def evidence(run: Run) -> str:
    """Gather what was printed and written, for somebody who was not there."""
    parts = [f"backend {run.ground.backend}, run {run.run_id}, parameters {dict(run.parameters)}", *run.story]
    parts += [
        f"--- start {start.number} printed\n{start.output.read_text(errors='replace')[-6000:]}" for start in run.starts
    ]
    if run.proxy:
        parts.append("--- requests\n" + "\n".join(run.proxy.requests[-400:]))
    parts.append(f"--- calls\n{run.calls_file.read_text()}")
    parts.append(f"--- durable before each start\n{run.durable}")
    for key in run.listed():
        parts.append(f"--- {key}")
        if key.endswith(".json"):
            document = json.loads(run.ground.place.read(key))
            parts.append(json.dumps(document, ensure_ascii=False)[:2500])
    return "\n".join(parts)
