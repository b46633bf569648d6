"""Fuzz for a while, one target after the other, and print the figures: ``make fuzz SECONDS=3600``."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from harness.fuzz.bounds import bounded
from harness.fuzz.targets import TARGETS, Target

BATCH = 500  # inputs between two looks at the clock


def fuzz(target: Target, seconds: float, first: int) -> tuple[Counter[str], list[str]]:
    """Read inputs until the time is over; give how often each error came out, and what was not declared."""
    came: Counter[str] = Counter()
    undeclared: list[str] = []
    end, number = time.monotonic() + seconds, first
    while time.monotonic() < end and not undeclared:
        number += 1

        @seed(number)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(target.inputs)
        def read(value: Any) -> None:
            try:
                with bounded(value):
                    target.read(value)
            except target.declared as error:
                came[type(error).__name__] += 1
            else:
                came["none"] += 1

        try:
            read()
        except Exception:  # noqa: BLE001 - what is looked for
            undeclared.append(traceback.format_exc())
    return came, undeclared


def main() -> int:
    seconds = float(sys.argv[1])
    began, total, failed = time.monotonic(), 0, 0
    print(f"{'target':14} {'inputs':>9} {'per s':>7}  errors that came out")
    for name, target in TARGETS.items():
        share = seconds / len(TARGETS)
        came, undeclared = fuzz(target, share, int(time.time()))
        total += came.total()
        failed += len(undeclared)
        reported = ", ".join(f"{kind} {count:,}" for kind, count in came.most_common())
        print(f"{name:14} {came.total():9,} {came.total() / share:7,.0f}  {reported}", flush=True)
        print("".join(undeclared), end="", flush=True)
    print(f"{total:,} inputs in {time.monotonic() - began:,.0f} s, {failed} undeclared errors or beyond 1 s or 64 MB")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
