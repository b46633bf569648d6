"""How a run stands, for people: its state, and how long its last attempt has given no sign of life."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import NotFound
from runner.runs.claims import MISSED
from runner.runs.documents import read_document

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.runs.layout import RunLayout

LATE = 2  # of its beats after which an attempt is said to be stalled


@dataclass(frozen=True)
class RunStatus:
    """How a run stands: its state, its outcome or its last attempt's end, and the last attempt's claim.

    ``silent`` are the seconds since the last attempt's beat, or its claim: the storage's clock against this machine's,
    which is good enough for a person; a start that wants to take over trusts neither.
    """

    state: str
    document: dict[str, Any] | None = None
    claim: dict[str, Any] | None = None
    silent: float | None = None

    @property
    def lives(self) -> bool:
        """Whether something may still come of the attempt."""
        return self.state in {"asked for", "running", "stalled"}

    @property
    def told(self) -> str:
        """The state, with what makes it so."""
        if self.silent is None:
            return self.state
        silence = duration_text(self.silent)
        match self.state:
            case "running":
                return f"running (beat {silence} ago)"
            case "stalled":
                return f"stalled (no beat for {silence})"
            case _:
                return f"lost (no beat for {silence}; the next start goes on)"


def duration_text(seconds: float) -> str:
    """Give a time as a person says it: ``4 s``, ``3 min``, ``2 h``, ``5 days``."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def attempt_numbers(storage: Storage, folder: RunLayout) -> list[int]:
    """Give the numbers of a run's attempts."""
    names, _ = storage.list_folder(f"{folder.prefix}/attempts/")
    return sorted(int(name) for name in names if name.isdecimal())  # anything may lie there besides


def run_status(storage: Storage, folder: RunLayout) -> RunStatus:
    """Tell how a run stands. Raises NotFound when nothing was ever written of it."""
    if outcome := read_document(storage, folder.outcome):
        return RunStatus(outcome["state"], outcome)
    if numbers := attempt_numbers(storage, folder):
        return attempt_status(storage, folder, numbers[-1])
    if read_document(storage, folder.run) is None:
        message = f"there is no run {storage.url(folder.prefix)}"
        raise NotFound(message)
    return RunStatus("asked for")


def attempt_status(storage: Storage, folder: RunLayout, number: int) -> RunStatus:
    """Tell how one attempt stands."""
    claim = read_document(storage, folder.claim(number))
    if end := read_document(storage, folder.end(number)):
        return RunStatus(end["state"], end, claim)
    if claim is None or claim["beat"] is None:
        return RunStatus("running", None, claim)
    _, entries = storage.list_folder(f"{folder.attempt(number)}/")
    signs = [entry.modified for entry in entries if entry.key in {folder.claim(number), folder.beat(number)}]
    silent = max(0.0, time.time() - max(signs, default=0.0))
    missed = silent / claim["beat"]
    state = "lost" if missed > MISSED else "stalled" if missed > LATE else "running"
    return RunStatus(state, None, claim, silent)
