"""Names, layout and documents of a run: ``run.json``, ``claim.json``, ``end.json``, ``outcome.json``.

The documents are described by the JSON Schemas in ``docs/schemas/``. Times are ISO 8601 in UTC, durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.signing.run_signatures import RunSigner

TERMINAL_STATES = frozenset({"succeeded", "failed", "timed_out"})  # ends after which no attempt follows


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The keys of one run; ``home`` is the folder that holds the bundle, empty for a bucket's top.

    With a ``seal`` its ends and results are signed, or believed only if they are.
    """

    home: str
    run_id: str
    seal: RunSigner | None = field(default=None, compare=False)

    @property
    def prefix(self) -> str:
        """The run's folder, without a slash at its end."""
        return "/".join(part for part in (self.home, "runs", self.run_id) if part)

    @property
    def run(self) -> str:
        """The key of ``run.json``."""
        return f"{self.prefix}/run.json"

    @property
    def outcome(self) -> str:
        """The key of ``outcome.json``."""
        return f"{self.prefix}/outcome.json"

    def attempt(self, number: int) -> str:
        """The folder of an attempt, counted from 1."""
        return f"{self.prefix}/attempts/{number:04d}"

    def claim(self, number: int) -> str:
        """The key of an attempt's ``claim.json``."""
        return f"{self.attempt(number)}/claim.json"

    def beat(self, number: int) -> str:
        """The key of an attempt's ``beat``."""
        return f"{self.attempt(number)}/beat"

    def log(self, number: int, part: int) -> str:
        """The key of a part of an attempt's log, counted from 1."""
        return f"{self.attempt(number)}/logs/{part:06d}.jsonl"

    def end(self, number: int) -> str:
        """The key of an attempt's ``end.json``."""
        return f"{self.attempt(number)}/end.json"

    def result(self, number: int, slug: str, index: int | None) -> str:
        """The key of a task's result; ``index`` is the element's place in a mapped task."""
        name = slug if index is None else f"{slug}/{index}"
        return f"{self.attempt(number)}/results/{name}.pkl"
