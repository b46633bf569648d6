"""``python -m harness.faults``: break runner a thousand times, and print what became of it.

Ends with 1 after any violation, and when less was counted than asked for. A violation's evidence is written to the
folder ``--evidence``; ``--case NAME`` does one case again.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from harness.faults.ground import BACKENDS, servers
from harness.faults.kills import named_cases, random_case
from harness.faults.paused import paused_case
from harness.faults.report import Report
from harness.faults.storage import CLOUDS, fault_case
from harness.faults.together import together_case
from harness.faults.troubles import trouble_case, trouble_cases
from harness.faults.workers import environment_for_starts, run_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.faults.drive import Told
    from harness.faults.workers import Case

BEGIN, END = "<!-- printed by make faults -->", "<!-- as far as here -->"


def main() -> int:
    """Do all that was asked for, and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="that hit a living attempt before its end was written")
    parser.add_argument("--faults", type=int, default=1000, help="of storage")
    parser.add_argument("--rounds", type=int, default=200, help="of twelve starts at once")
    parser.add_argument("--pauses", type=int, default=24, help="attempts that are stopped, and wake too late")
    parser.add_argument("--workers", type=int, default=5, help="runs at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backends", default=",".join(BACKENDS), help="comma separated")
    parser.add_argument("--case", action="append", default=[], help="do this one alone, by its name in a report")
    parser.add_argument("--out", type=Path, help="the page whose tables, between two marks, are written anew")
    parser.add_argument("--evidence", type=Path, default=Path(__file__).parents[3] / ".cache" / "faults")
    options = parser.parse_args()
    backends = tuple(options.backends.split(","))
    environment_for_starts()
    report = Report()
    with servers() as started:
        for what, workers, cases, enough in _phases(options, backends, report):
            began = time.monotonic()
            number = 0
            for reported in run_cases(started, workers, cases, enough):
                number += 1
                report.add(reported)
                if reported.violations:
                    _keep(reported, options.evidence)
            print(f"{what}: {number} runs in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(report.markdown())
    if options.out:
        _write(options.out, report.markdown())
    lacking = not options.case and not _complete(options, report)
    return 1 if report.broken or lacking else 0


def _phases(
    options: argparse.Namespace, backends: tuple[str, ...], report: Report
) -> Iterator[tuple[str, int, Iterator[Case], Callable[[], bool]]]:
    """Give what is done one after the other: its name, how much at a time, the cases, and when it is enough."""
    seed, workers = options.seed, options.workers
    if options.case:
        yield "cases", 1, (_named(name, backends) for name in options.case), lambda: False
        return
    kills: Iterator[Case] = chain(named_cases(seed, backends), (random_case(seed, i, backends) for i in count()))
    yield "kills", workers, kills, lambda: report.struck() >= options.kills
    if clouds := tuple(backend for backend in CLOUDS if backend in backends):
        storage = (fault_case(seed, i, clouds) for i in count())
        yield "storage faults", workers, storage, lambda: sum(report.faults.values()) >= options.faults
        yield "troubles", workers, iter(trouble_cases(seed, clouds)), lambda: False
    yield "pauses", workers, (paused_case(seed, i, backends) for i in range(options.pauses)), lambda: False
    yield "rounds", 3, (together_case(seed, i, backends) for i in range(options.rounds)), lambda: False


def _named(name: str, backends: tuple[str, ...]) -> Case:
    """Make a case again. Its backend depends on those that there were, so give the same ``--backends``."""
    kind, seed, *rest = name.split("/")
    if kind == "named":
        return next(case for case in named_cases(int(seed), backends) if case.name == name)
    if kind == "trouble":
        return trouble_case(int(seed), *rest)
    clouds = tuple(backend for backend in CLOUDS if backend in backends)
    index = int(rest[0])
    if kind == "storage":
        return fault_case(int(seed), index, clouds)
    make: dict[str, Callable[[int, int, tuple[str, ...]], Case]] = {
        "random": random_case,
        "paused": paused_case,
        "together": together_case,
    }
    return make[kind](int(seed), index, backends)


def _keep(reported: Told, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{reported.case.replace('/', '-')}.txt"
    file.write_text("\n".join([reported.case, *reported.violations, reported.details]) + "\n")
    print(
        f"violation in {reported.case} on {reported.backend}: {reported.violations[0][:300]} (see {file})",
        file=sys.stderr,
        flush=True,
    )


def _write(page: Path, tables: str) -> None:
    """Put the tables between the marks of a page."""
    text = page.read_text("utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", "utf-8")


def _complete(options: argparse.Namespace, report: Report) -> bool:
    counted = report.struck(), sum(report.faults.values()), report.number("together"), report.number("paused")
    return all(
        there >= asked
        for there, asked in zip(counted, (options.kills, options.faults, options.rounds, options.pauses), strict=True)
    )


if __name__ == "__main__":
    sys.exit(main())
