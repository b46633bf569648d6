"""``runner logs``: the log of a run, read from its storage, also while it runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from runner.cli.format import as_json_option
from runner.cli.locations import open_run
from runner.errors import NotFound, TooLarge
from runner.limits import limit_of
from runner.runs.status import attempt_status, run_status
from runner.supervisor.backlog import LOG_END_LOGGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.runs.store import RunStore

_POLL_SECONDS = 1.0  # between two reads for more
_LAST_PART_SECONDS = 5.0  # in which the last part may still come after the end


@click.command(short_help="Show what a run wrote.")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run, or its last attempt, is over.")
@as_json_option
def logs(run: str, *, follow: bool, as_json: bool) -> None:
    """Show what RUN wrote, attempt after attempt; with --json the lines as they are stored, one object each."""
    store = open_run(run)
    for attempt in _attempts(store, follow=follow):
        if attempt > 1 and not as_json:
            click.echo(f"-- attempt {attempt}", err=True)
        _print_log(store, attempt, follow=follow, as_json=as_json)
    click.echo(f"-- run {store.run_id}: {run_status(store).text}", err=True)


def _attempts(store: RunStore, *, follow: bool) -> Iterator[int]:
    """Yield the numbers of a run's attempts; to follow is to wait for the first one."""
    number = 1
    while True:
        if number in store.list_attempts():
            yield number
            number += 1
        elif number > 1 or not follow:
            return
        else:
            time.sleep(_POLL_SECONDS)


def _print_log(store: RunStore, attempt: int, *, follow: bool, as_json: bool) -> None:
    for part in _parts(store, attempt, follow=follow):
        for line in filter(None, part.split(b"\n")):
            if as_json:
                click.echo(line)
            elif not _is_last(line):
                click.echo(_text(_entry(line)))


def _parts(store: RunStore, attempt: int, *, follow: bool) -> Iterator[bytes]:
    """Yield the parts of an attempt's log in order; to follow is to wait for more until it is over."""
    part, over_since = 1, None
    while True:
        try:
            data = store.storage.read(store.layout.log(attempt, part), limit=limit_of("log part"))
        except TooLarge as error:
            click.echo(f"-- left out: {error.message}", err=True)
            part += 1
        except NotFound:
            if not follow or (over_since and time.monotonic() - over_since > _LAST_PART_SECONDS):
                return
            if over_since is None and not attempt_status(store, attempt).is_active:
                over_since = time.monotonic()
            time.sleep(_POLL_SECONDS)
        else:
            yield data
            part += 1
            if _is_last(data.rstrip().rpartition(b"\n")[2]):
                return


def _entry(line: bytes) -> dict[str, Any]:
    """Read a stored line, which may be anything: whoever can write to the storage may have written it."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    return entry if isinstance(entry, dict) else {"stream": "", "message": line.decode(errors="backslashreplace")}


def _is_last(line: bytes) -> bool:
    """Return whether a line is the one by which the supervisor ends a log; no flow's own has its logger's name."""
    entry = _entry(line)
    return entry.get("logger") == LOG_END_LOGGER and entry.get("last") is True


def _text(entry: dict[str, Any]) -> str:
    """Return a stored line as a person reads it: what was printed as it was, a log line as at a terminal."""
    if "stream" in entry:
        return str(entry.get("message", ""))
    source = entry.get("task") or entry.get("logger") or ""
    text = f"{str(entry.get('time', ''))[11:19]} {entry.get('level', '')!s:7} {source}: {entry.get('message', '')}"
    return f"{text}\n{str(entry['exception']).rstrip()}" if entry.get("exception") else text
