"""Counts what the cases told, and prints it as the tables of ``docs/reliability.md``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from harness.faults.drive import HELD
from harness.faults.ground import BACKENDS
from harness.faults.kills import MISSED, OUTSIDE, STRUCK
from harness.faults.processes import TARGETS
from harness.faults.proxy import KINDS, REFUSED
from harness.faults.stages import RANDOM, STAGES
from harness.faults.storage import CLOUDS, OUTAGE
from harness.faults.troubles import FOREVER, TROUBLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.faults.drive import Told


@dataclass
class Report:
    """What was counted so far, over all cases that were told."""

    kills: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # backend, stage, target, what became
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)  # backend, kind
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)  # kind of case, backend
    troubles: Counter[tuple[str, str, int]] = field(
        default_factory=Counter
    )  # kind of trouble, backend, first exit code
    starts: int = 0
    codes: Counter[tuple[str, int]] = field(default_factory=Counter)  # kind of case, exit code
    broken: list[Told] = field(default_factory=list)

    def add(self, reported: Told) -> None:
        kind = reported.case.partition("/")[0]
        self.cases["kills" if kind in {"named", "random"} else kind, reported.backend] += 1
        self.starts += reported.starts
        self.codes.update((kind, code) for code in reported.codes)
        if kind == "trouble" and reported.codes:
            self.troubles[reported.case.split("/")[2], reported.backend, reported.codes[0]] += 1
        for (stage, target, became), number in (reported.kills or {}).items():
            self.kills[reported.backend, stage, target, became] += number
        for name, number in (reported.faults or {}).items():
            self.faults[reported.backend, name] += number
        if reported.violations:
            self.broken.append(reported)

    def struck(self, **of: str) -> int:
        """Count the kills that hit, of a backend, stage or target."""
        return self.killed(STRUCK, **of)

    def killed(self, wanted: str, **of: str) -> int:
        return sum(
            number
            for (backend, stage, target, became), number in self.kills.items()
            if became == wanted and of.items() <= {"backend": backend, "stage": stage, "target": target}.items()
        )

    def number(self, kind: str, backend: str | None = None) -> int:
        """Count the cases of a kind."""
        return sum(n for (k, b), n in self.cases.items() if k == kind and backend in (None, b))

    def markdown(self) -> str:
        parts = (self._kills(), self._faults(), self._troubles(), self._others(), self._violations())
        return "\n\n".join(chain.from_iterable(parts)) + "\n"

    def _kills(self) -> Iterable[str]:
        if not self.kills:
            return
        yield "### Kills"
        yield (
            f"{self.killed(STRUCK):,} kills in {self.number('kills'):,} runs hit a living attempt before its end was "
            f"written. Besides, {self.killed(OUTSIDE):,} hit one before its claim was stored, or when its end was, "
            f"and {self.killed(MISSED):,} came too late, or their stage did not come; these are not counted."
        )
        yield _table(
            ["storage", *TARGETS, "all"],
            [
                [
                    backend,
                    *(self.struck(backend=backend, target=target) for target in TARGETS),
                    self.struck(backend=backend),
                ]
                for backend in BACKENDS
            ]
            + [["all", *(self.struck(target=target) for target in TARGETS), self.struck()]],
        )
        rows: list[list[object]] = []
        for stage in [*map(str, STAGES), RANDOM]:
            numbers = [self.struck(stage=stage, backend=backend) for backend in BACKENDS]
            rows.append(
                [
                    stage,
                    *numbers,
                    *(self.struck(stage=stage, target=target) for target in TARGETS),
                    self.killed(OUTSIDE, stage=stage),
                    self.killed(MISSED, stage=stage),
                ]
            )
        yield _table(["stage", *BACKENDS, *TARGETS, "outside an attempt", "missed"], rows)

    def _faults(self) -> Iterable[str]:
        if not self.number("storage"):
            return
        yield "### Storage faults"
        yield f"{sum(self.faults.values()):,} faults in {self.number('storage'):,} runs."
        kinds = [REFUSED, *KINDS, OUTAGE]
        yield _table(
            ["fault", *CLOUDS, "all"],
            [
                [kind, *(self.faults[cloud, kind] for cloud in CLOUDS), sum(self.faults[c, kind] for c in CLOUDS)]
                for kind in kinds
            ],
        )
        codes = sorted({code for kind, code in self.codes if kind == "storage"})
        ended = ", ".join(f"{self.codes['storage', code]:,} with {code}" for code in codes)
        yield f"Of the starts, {ended}; every run was finished by the next ones."

    def _troubles(self) -> Iterable[str]:
        if not self.troubles:
            return
        yield "### Troubles that were met"
        yield (
            "Each was done to a run on each storage that can have it; the number is the exit code of the start that "
            "met it. Where that is not 0, the next starts finished the run; but an outcome that lists what was never "
            "stored makes each of them end with 73, and `runner retry` does again what is lost."
        )
        rows: list[list[object]] = []
        for kind, trouble in TROUBLES.items():
            ended = [
                ", ".join(str(code) for k, b, code in sorted(self.troubles) if (k, b) == (kind, cloud))
                for cloud in CLOUDS
            ]
            lasts = f", for {trouble.seconds:g} s" if 1 <= trouble.seconds < FOREVER else ""
            rows.append([f"{trouble.words}{lasts}", *ended])
        yield _table(["trouble", *CLOUDS], rows)

    def _others(self) -> Iterable[str]:
        rows: list[list[object]] = [
            [name, *(self.number(kind, backend) for backend in BACKENDS), self.number(kind)]
            for kind, name in (
                ("paused", "attempts that were stopped, and woke when another had finished"),
                ("together", "rounds of twelve starts at once"),
            )
            if self.number(kind)
        ]
        if rows:
            yield "### Stopped, and all at once"
            yield _table(["", *BACKENDS, "all"], rows)
        if self.number("together"):
            ran, held = self.number("together"), self.codes["together", HELD]
            repeated = self.codes["together", 0] - ran
            yield f"Of their starts {ran:,} ran, {repeated:,} repeated the outcome, and {held:,} ended with 75."

    def _violations(self) -> Iterable[str]:
        yield f"In {self.starts:,} starts there were **{len(self.broken)}** runs with a violation."
        for reported in self.broken:
            yield f"- `{reported.case}` on {reported.backend}: {'; '.join(reported.violations)[:600]}"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line) + " |" for line in lines
    )
