"""The status of a run, for display: its state, and how long its last attempt has given no sign of life."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import NotFound
from runner.runs.claims import MISSED_HEARTBEATS

if TYPE_CHECKING:
    from runner.runs.store import RunStore
    from runner.schema.documents import ClaimDocument, EndDocument

STALLED_HEARTBEATS = 2  # that an attempt has missed when it is said to be stalled


@dataclass(frozen=True)
class RunStatus:
    """The status of a run: its state, its outcome or its last attempt's end, and the last attempt's claim.

    ``silence`` are the seconds since the last attempt's heartbeat, or its claim: the storage's clock against this
    machine's, which is good enough for a person; a start that wants to take over trusts neither.
    """

    state: str
    end: EndDocument | None = None
    claim: ClaimDocument | None = None
    silence: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether something may still come of the attempt."""
        return self.state in {"asked for", "running", "stalled"}

    @property
    def text(self) -> str:
        """The state, with what makes it so."""
        if self.silence is None:
            return self.state
        silence = duration_text(self.silence)
        match self.state:
            case "running":
                return f"running (beat {silence} ago)"
            case "stalled":
                return f"stalled (no beat for {silence})"
            case _:
                return f"lost (no beat for {silence}; the next start goes on)"


def duration_text(seconds: float) -> str:
    """Return a time as a person says it: ``4 s``, ``3 min``, ``2 h``, ``5 days``."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def run_status(store: RunStore) -> RunStatus:
    """Return the status of a run. Raises NotFound when nothing was ever written of it."""
    if outcome := store.read_outcome():
        return RunStatus(outcome["state"], outcome)
    return status_without_outcome(store)


def status_without_outcome(store: RunStore) -> RunStatus:
    """Return the status of a run as its last attempt tells it. Raises NotFound when nothing was ever written of it."""
    for attempt in reversed(store.list_attempts()):
        status = attempt_status(store, attempt)
        if status.claim or status.end:  # else only a folder is left, of a start that died before it had claimed it
            return status
    if store.read_request() is None:
        message = f"there is no run {store.url}"
        raise NotFound(message)
    return RunStatus("asked for")


def attempt_status(store: RunStore, attempt: int) -> RunStatus:
    """Return the status of one attempt."""
    claim = store.read_claim(attempt)
    if end := store.read_end(attempt):
        return RunStatus(end["state"], end, claim)
    if claim is None or claim["beat"] is None:
        return RunStatus("running", None, claim)
    layout = store.layout
    _, entries = store.storage.list_folder(f"{layout.attempt(attempt)}/")
    signs = [entry.modified for entry in entries if entry.key in {layout.claim(attempt), layout.beat(attempt)}]
    silence = max(0.0, time.time() - max(signs, default=0.0))
    missed = silence / claim["beat"]
    state = "lost" if missed > MISSED_HEARTBEATS else "stalled" if missed > STALLED_HEARTBEATS else "running"
    return RunStatus(state, None, claim, silence)
