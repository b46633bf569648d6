"""Reading what a page is made of: what cannot be read or trusted is noted, and stops nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from runner.errors import BundleCorrupt, NotFound, RunnerError, Untrusted
from runner.limits import limit_of
from runner.reports.gathered import Attempt, FlowFacts, Gathered
from runner.runs.launches import launch_of
from runner.runs.living import stored_tasks
from runner.runs.log_entries import ends_log, line_text, read_entry, wrapped_line
from runner.runs.status import RunStatus, run_status, status_without_outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, RunRequest

T = TypeVar("T")
_MOST_ATTEMPTS = 50  # of which documents are read
_MOST_LAUNCHES = 20
_LOG_LINES = 300
_MOST_PARTS = 8  # of logs that are read


def gather(
    store: RunStore,
    now: str,
    *,
    why_untrusted: Callable[[EndDocument], str] | None = None,
    find_flow: Callable[[RunRequest], FlowFacts] | None = None,
) -> Gathered:
    """Read all that is known of a run.

    Args:
        store: the run's documents.
        now: the time, as documents have it.
        why_untrusted: returns why an end is not trusted; without it no end is held against keys.
        find_flow: returns what the run's bundle says about itself; see `runner.reports.flow_facts.read_flow`.

    Raises what the storage raises, and BundleCorrupt where no document at all can be read.

    Example::

        page = render(gather(store, naming.now()))
    """
    notes = _Notes()
    status, unreadable = _status(store, notes)
    untrusted = why_untrusted(status.end) if why_untrusted and status.end else ""
    request = notes.unless_broken(store.read_request)
    numbers, launches = store.list_attempts(), store.list_launches()
    attempts = [_attempt(store, number, status.end, notes) for number in numbers[-_MOST_ATTEMPTS:]]
    facts = Gathered(
        run_id=store.run_id,
        url=store.url,
        prefix=store.layout.prefix,
        made=now,
        status=replace(status, claim=status.claim or (attempts[-1].claim if attempts else None)),
        request=request,
        attempts=attempts,
        launches=[launch_of(store, number) for number in launches[-_MOST_LAUNCHES:]],
        tasks=(status.end["tasks"] if status.end else ()) or stored_tasks(store),
        unreadable=unreadable,
        untrusted=untrusted,
        is_checked=why_untrusted is not None,
        waits=notes.unless_broken(partial(_waits, store, status)) or "",
        cancel=notes.unless_broken(store.read_cancel),
        log=_last_lines(store, numbers, notes),
        flow=find_flow(request) if find_flow and request else FlowFacts(),
        attempt_count=len(numbers),
        launch_count=len(launches),
    )
    return facts._replace(notes=notes.told)


class _Notes:
    """What cannot be read or trusted, a sentence each."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add(self, error: RunnerError) -> None:
        if error.message not in self.told:
            self.told.append(error.message)

    def unless_broken(self, read: Callable[[], T]) -> T | None:
        """Return a document; None, and a note, for one that is none, or that nobody trusted has signed."""
        try:
            return read()
        except (BundleCorrupt, Untrusted) as error:
            self.add(error)
            return None


def _status(store: RunStore, notes: _Notes) -> tuple[RunStatus, str]:
    """Return a run's status, and why its outcome cannot be read, if so: then it is that of its last attempt."""
    try:
        return run_status(store), ""
    except (BundleCorrupt, Untrusted) as error:
        unreadable = error.message
    try:
        return status_without_outcome(store), unreadable
    except (BundleCorrupt, Untrusted, NotFound) as error:
        notes.add(error)
    return RunStatus("unreadable"), unreadable


def _waits(store: RunStore, status: RunStatus) -> str:
    """Return for what a run waits that was asked for and not begun; of others nothing need be imported."""
    if status.state != "asked for":
        return ""
    from runner.agents.submit import why_run_waits

    return why_run_waits(store, status)


def _attempt(store: RunStore, number: int, told: EndDocument | None, notes: _Notes) -> Attempt:
    """Return an attempt; an outcome, which is a copy of its last one's end, need not be read again."""
    end = told if told and told["attempt"] == number else notes.unless_broken(lambda: store.read_end(number))
    is_silent = end is None or end["state"] == "lost"
    return Attempt(
        number,
        notes.unless_broken(lambda: store.read_claim(number)),
        end,
        _last_beat(store, number) if is_silent else None,
    )


def _last_beat(store: RunStore, number: int) -> str | None:
    """Return when an attempt wrote its last heartbeat, as it tells."""
    with suppress(ValueError, RecursionError, BundleCorrupt):
        beat: Any = json.loads(store.read_heartbeat(number) or b"null")
        time = beat.get("time") if isinstance(beat, dict) else None
        return time if isinstance(time, str) else None
    return None


def _last_lines(store: RunStore, attempts: range, notes: _Notes) -> list[str]:
    """Return the last lines of a run's log, as a person reads them; a line tells where another attempt begins."""
    lines: list[str] = []
    parts = 0
    for attempt in reversed(attempts):
        for part in reversed(store.list_log_parts(attempt)):
            data = notes.unless_broken(partial(_read_part, store, store.layout.log(attempt, part)))
            lines[:0] = [_line(line) for line in _shown(data or b"")[len(lines) - _LOG_LINES :]]
            parts += 1
            if len(lines) >= _LOG_LINES or parts >= _MOST_PARTS:
                return lines
        if lines and attempt > 1:
            lines.insert(0, f"-- attempt {attempt}")
    return lines


def _read_part(store: RunStore, key: str) -> bytes:
    try:
        return store.storage.read(key, limit=limit_of("log part"))
    except NotFound:  # listings may tell of what is gone
        return b""


def _shown(part: bytes) -> list[bytes]:
    """Return a part's lines, without the one that ends a log, which is for programs."""
    lines = [line for line in part.split(b"\n") if line]
    return lines[:-1] if lines and ends_log(read_entry(lines[-1])) else lines


def _line(line: bytes) -> str:
    try:
        return line_text(read_entry(line))
    except (ValueError, RecursionError):  # it could be read, but is nested too deep to be written
        return line_text(wrapped_line(line))
