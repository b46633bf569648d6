"""Counts the designs on the whole corpus: what travels is a flow's file, its values, or one of both.

``cd tests && python -m harness.same_values.by_design [PART OF A NAME …]`` runs every flow (none of those with
libraries) at home and from a bundle of each design, with threads, and judges what comes as the tests do; see
`harness.same_values.designs` for how they are made. What is refused rightly may be built and be the same as well,
unless it lies in the folder ``refused``.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.same_values.corpus import collect, judge
from harness.same_values.designs import DESIGNS
from harness.same_values.driver import Driver, run_all

if TYPE_CHECKING:
    from harness.same_values.corpus import Case

LONGEST = 200  # characters of a reason


class Count(NamedTuple):
    """The names of the flows that came out the same, and that were refused rightly; what is wrong with each other."""

    same: list[str]
    refused: list[str]
    wrong: dict[str, str]

    def __str__(self) -> str:
        total = f"{len(self.same)} the same, {len(self.refused)} refused rightly, {len(self.wrong)} wrong"
        wrong = [f"  {name}: {reason}" for name, reason in self.wrong.items()]
        return "\n".join([total, f"  refused: {', '.join(self.refused)}", *wrong])


def count(design: str, cases: list[Case], folder: Path) -> Count:
    """Run flows by a design, each in a new folder below one, and count what came of them."""
    counted = Count([], [], {})
    make_folder = partial(tempfile.mkdtemp, dir=folder)
    make_driver = partial(Driver, sys.executable, ["threads"], design)
    with run_all(cases, lambda: Path(make_folder()), make_driver) as running:
        for case in cases:
            told = running[case.name].result()
            if wrong := judge(case, told):
                counted.wrong[case.name] = _first_line(wrong)
            else:
                (counted.refused if told["build"]["code"] else counted.same).append(case.name)
    return counted


def _first_line(reason: str) -> str:
    first = reason.strip().partition("\n")[0]
    return first if len(first) <= LONGEST else f"{first[:LONGEST]}…"


def main(parts: list[str]) -> None:
    """Print what each design gives."""
    cases = [case for case in collect() if not parts or any(part in case.name for part in parts)]
    with tempfile.TemporaryDirectory() as folder:
        for design in DESIGNS:
            print(f"{design}: {count(design, cases, Path(folder))}\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
