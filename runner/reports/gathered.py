"""What a page about a run is made of, read from its storage once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.runs.documents import concludes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.runs.launches import ShownLaunch
    from runner.runs.living import StoredTask
    from runner.runs.status import RunStatus
    from runner.schema.documents import (
        CancelRecord,
        ClaimDocument,
        EndDocument,
        Manifest,
        RunRequest,
        TaskRecord,
    )


class Attempt(NamedTuple):
    """An attempt: its claim and its end, as far as they can be read, and when it gave its last sign of life."""

    number: int
    claim: ClaimDocument | None
    end: EndDocument | None
    last_sign: str | None = None

    @property
    def started(self) -> str | None:
        """When it began."""
        return self.claim["started"] if self.claim else self.end["started"] if self.end else None


class Series(NamedTuple):
    """What an attempt used of a resource over time.

    Args:
        name: of the resource: ``memory``.
        unit: ``bytes``, or what stands behind a number: ``cores``.
        points: seconds since the epoch, and the value then, in the order of time.
        limit: what it could use; None where there is no limit.
        attempt: its number.
    """

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    limit: float | None = None
    attempt: int = 1


class FlowFacts(NamedTuple):
    """A bundle's manifest, and the id of the key that signed it; without a manifest a note says why there is none."""

    manifest: Manifest | None = None
    signed_by: str | None = None
    note: str = ""


class Gathered(NamedTuple):
    """All that is known of a run.

    Args:
        run_id: its id.
        url: of its folder.
        prefix: the key of its folder.
        made: when this was gathered.
        status: its state, and the end that tells it.
        request: what it was asked to do.
        attempts: of its attempts the last ones, in order.
        launches: of its launches the last ones, in order.
        tasks: what became of its tasks; of one that is not over, what is stored so far.
        notes: documents that cannot be read or trusted, a sentence each.
        unreadable: why its outcome cannot be read; then its last attempt's end is shown.
        untrusted: why its end is not trusted here; empty if it is, or everybody is.
        is_checked: whether its end was held against trusted keys.
        waits: for what it waits that nobody has launched yet.
        cancel: who asked for it to end.
        log: the last lines of its log, and of the attempts before it.
        flow: its bundle's manifest.
        resources: what it used over time.
        attempt_count: how many attempts there are, with those that are left out.
        launch_count: how many launches.
    """

    run_id: str
    url: str
    prefix: str
    made: str
    status: RunStatus
    request: RunRequest | None = None
    attempts: Sequence[Attempt] = ()
    launches: Sequence[ShownLaunch] = ()
    tasks: Sequence[TaskRecord | StoredTask] = ()
    notes: Sequence[str] = ()
    unreadable: str = ""
    untrusted: str = ""
    is_checked: bool = False
    waits: str = ""
    cancel: CancelRecord | None = None
    log: Sequence[str] = ()
    flow: FlowFacts = FlowFacts()
    resources: Sequence[Series] = ()
    attempt_count: int = 0
    launch_count: int = 0

    @property
    def end(self) -> EndDocument | None:
        """The run's outcome, or its last attempt's end."""
        return self.status.end

    @property
    def was_given_up(self) -> bool:
        """Whether nobody launches it again, although no attempt concluded it."""
        end = self.launches[-1]["end"] if self.launches else None
        return bool(end and end["given_up"]) and not self.is_concluded

    @property
    def is_concluded(self) -> bool:
        """Whether no attempt follows."""
        return self.end is not None and concludes(self.end)

    @property
    def is_live(self) -> bool:
        """Whether the page tells of something that goes on."""
        return self.status.is_active and not self.was_given_up


def told(document: Mapping[str, Any] | None, *names: str) -> str:
    """Return what a document has below these names, as text; empty where it has nothing.

    For what only people read: it decides nothing, so nobody has looked whether it is there, and what it is.
    """
    value: Any = document
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def seconds_at(time: str | None) -> float | None:
    """Return a time of a document in seconds since the epoch; None for what is none."""
    if not time:
        return None
    try:
        moment = datetime.fromisoformat(time)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def time_text(time: str | None) -> str:
    """Return a time of a document as a person reads it: ``2026-11-22 12:10:24 UTC``."""
    if seconds_at(time) is None:
        return time or ""
    return f"{str(time)[:19].replace('T', ' ')} UTC"


def seconds_text(seconds: float) -> str:
    """Return a time span as a person reads it: ``0.42 s``, ``3 min 5 s``, ``2 h 4 min``, ``5 days 3 h``."""
    if seconds < 60:  # noqa: PLR2004
        shown = f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"
        return f"{shown.rstrip('0').rstrip('.')} s"
    whole = round(seconds)
    for size, unit, smaller, below in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= (2 * size if unit == "days" else size):
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"
