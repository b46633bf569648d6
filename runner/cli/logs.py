"""``runner logs``: the log of a run, read from its storage, also while it runs.

Whoever can write to the storage may have written anything there: what cannot be read is told, and passed over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from runner.agents.submit import given_up
from runner.cli.format import as_json_option, echo, echo_block
from runner.cli.locations import believed_status, open_run
from runner.errors import BundleCorrupt, NotFound, TooLarge, Untrusted
from runner.launchers.remedies import not_begun_error
from runner.limits import limit_of
from runner.logs import json_text
from runner.runs.log_entries import ends_log, line_text, read_entry, wrapped_line
from runner.runs.status import attempt_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from runner.runs.store import RunStore

_AT_ONCE = 1000  # lines written
_POLL_SECONDS = 1.0  # between two reads for more
_LAST_PART_SECONDS = 5.0  # in which the last part may still come after the end


@click.command(short_help="Show what a run wrote.")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run, or its last attempt, is over.")
@as_json_option
def logs(run: str, *, follow: bool, as_json: bool) -> None:
    """Show what RUN wrote, attempt after attempt; with --json one object a line, as it is stored."""
    store = open_run(run)
    for attempt in _attempts(store, follow=follow):
        if attempt > 1 and not as_json:
            echo(f"-- attempt {attempt}", err=True)
        _print_log(store, attempt, follow=follow, as_json=as_json)
    try:
        status = believed_status(store)
        last = given_up(store) if status.state == "asked for" else None
        state = f"given up: {not_begun_error(last).message}" if last else status.text
    except (BundleCorrupt, Untrusted) as error:
        state = error.message
    echo(f"-- run {store.run_id}: {state}", err=True)


def follow_log(store: RunStore, over: Event, *, as_json: bool) -> None:
    """Show what a run writes, attempt after attempt, until it is over; what cannot be read is told by others.

    As JSON it is one object a line, so that the answer of the command that follows is one more.
    """
    shown = 0
    while True:
        is_over = over.is_set()
        for attempt in store.list_attempts():
            if attempt > shown:
                _print_log(store, attempt, follow=True, as_json=as_json)
                shown = attempt
        if is_over:
            return
        over.wait(_POLL_SECONDS)


class LastLine:
    """The last line of a run's log, read anew each time from where it was read before."""

    def __init__(self, store: RunStore) -> None:
        self._store, self._at, self._line = store, (0, 0), ""

    def read(self, attempt: int) -> str:
        """Return the last line that an attempt has shipped; empty where it has none."""
        if self._at[0] != attempt:
            parts = self._store.list_log_parts(attempt)
            self._at, self._line = (attempt, parts[-1] if parts else 1), ""
        while True:
            try:
                data = self._store.storage.read(self._store.layout.log(*self._at), limit=limit_of("log part"))
            except (NotFound, TooLarge):
                return self._line
            self._at = attempt, self._at[1] + 1
            lines = [line for line in data.split(b"\n") if line]
            shown = (_shown(line, as_json=False) for line in reversed(lines))
            self._line = next((text for text in shown if text), self._line)


def _attempts(store: RunStore, *, follow: bool) -> Iterator[int]:
    """Yield the numbers of a run's attempts; to follow is to wait for the first one, unless the run is given up."""
    last = 0
    while True:
        later = [number for number in store.list_attempts() if number > last]
        if later:
            last = later[0]
            yield last
        elif last or not follow or given_up(store):
            return
        else:
            time.sleep(_POLL_SECONDS)


def _print_log(store: RunStore, attempt: int, *, follow: bool, as_json: bool) -> None:
    for part in _parts(store, attempt, follow=follow):
        lines = [line for line in part.split(b"\n") if line]
        for start in range(0, len(lines), _AT_ONCE):
            shown = [_shown(line, as_json=as_json) for line in lines[start : start + _AT_ONCE]]
            if kept := [text for text in shown if text is not None]:
                echo_block("\n".join(kept))


def _shown(line: bytes, *, as_json: bool) -> str | None:
    """Return a stored line as it is shown; None for the one that ends the log, which is for programs."""
    entry = read_entry(line)
    if not as_json and ends_log(entry):
        return None
    try:
        return json_text(entry) if as_json else line_text(entry)
    except (ValueError, RecursionError):  # it could be read, but is nested too deep to be written
        return json_text(wrapped_line(line)) if as_json else line_text(wrapped_line(line))


def _parts(store: RunStore, attempt: int, *, follow: bool) -> Iterator[bytes]:
    """Yield the parts of an attempt's log in order; to follow is to wait for more until it is over."""
    part, over_since, asked_again, listed = 1, None, 0, list[int]()
    while True:
        try:
            data = store.storage.read(store.layout.log(attempt, part), limit=limit_of("log part"))
        except NotFound:
            known = [number for number in listed if number > part]  # as parts are stored in order, this one never was
            if later := known or [number for number in store.list_log_parts(attempt) if number > part]:
                listed = later
                if known or asked_again == part:  # it did not come between the read and the listing
                    echo(f"-- attempt {attempt}: the log is missing from part {part} to {later[0]}", err=True)
                    part = later[0]
                asked_again = part
                continue
            if not follow or (over_since and time.monotonic() - over_since > _LAST_PART_SECONDS):
                return
            if over_since is None and not _is_active(store, attempt):
                over_since = time.monotonic()
            time.sleep(_POLL_SECONDS)
        except TooLarge as error:
            echo(f"-- left out: {error.message}", err=True)
            part += 1
        else:
            yield data
            part += 1
            if ends_log(read_entry(data.rstrip().rpartition(b"\n")[2])):
                return


def _is_active(store: RunStore, attempt: int) -> bool:
    try:
        return attempt_status(store, attempt).is_active
    except BundleCorrupt:  # which is told when all is over
        return False
