"""``runner submit``: have a run wait for an agent."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from runner.agents.queue import HIGHEST_PRIORITY
from runner.agents.register import Register
from runner.agents.submit import Turn, given_up, submit, why_it_waits
from runner.cli.format import as_json_option, echo, echo_json
from runner.cli.locations import bundle_location, open_run, parse_location_argument
from runner.cli.logs import follow_log
from runner.cli.parameters import parameters_option, read_options, read_run_id
from runner.errors import RunHeld, UsageError
from runner.launchers.launch import find
from runner.launchers.remedies import not_begun_error

if TYPE_CHECKING:
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument

_LOOK_SECONDS = 2.0
_LAST_LINES_SECONDS = 10.0


@click.command(name="submit", short_help="Have a run wait for an agent.")
@click.argument("location")
@parameters_option
@click.option("-l", "--label", "labels", multiple=True, metavar="LABEL", help="A label that its agent must have, too.")
@click.option(
    "--priority",
    type=click.IntRange(-HIGHEST_PRIORITY, HIGHEST_PRIORITY),
    help="The highest goes first; 0 without it.",
)
@click.option("--at", metavar="TIME", help="Not before this time: 2026-11-28T06:00:00Z.")
@click.option("--run-id", metavar="ID", help="The run's id, under which it can be submitted again.")
@click.option("--storage", "root", metavar="URL", help="The root of its agents; without it, the flow's own.")
@click.option("-f", "--follow", is_flag=True, help="Show its log until it is over, and end with its code.")
@as_json_option
def submit_command(location: str, *, follow: bool, as_json: bool, **given: Any) -> int:
    """Have a run of the flow at LOCATION wait for an agent that has all its labels, and print the run's URL."""
    where, settings = bundle_location(location)
    run_id = read_run_id(given["run_id"]) or settings.run_id
    found = find(where, settings._replace(run_id=None))
    values = (settings.parameters or {}) | read_options(given["parameters"])
    root = parse_location_argument(given["root"]).as_root() if given["root"] else None
    done = submit(found, values, run_id, Turn(given["labels"], given["priority"], _time(given["at"]), root))
    lacking = why_it_waits(Register(done.queue.storage, done.queue.root), done.labels)
    if at := done.queue.time_of(done.entry):
        echo(f"it waits until {at}", err=True)
    if lacking:
        echo(f"it waits, and nobody can take it: {lacking}", err=True)
    if not as_json:
        echo(done.store.url)
    end = _follow(done.store, as_json=as_json) if follow else None
    if as_json:
        echo_json({"run": done.store.url, "labels": list(done.labels), "lacking": lacking or None, "end": end})
    return end["exit_code"] if end else 0


def _time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            written = read.isoformat()
            raise UsageError(f"--at {text!r} names no time zone", hint=f"Write {written}Z for UTC, or {written}+01:00.")
        return read.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError) as error:  # the latter: a time before the year 1, or after 9999, in UTC
        raise UsageError(f"--at {text!r} is no time", hint="Write 2026-11-28T06:00:00Z.") from error


def _follow(store: RunStore, *, as_json: bool) -> EndDocument:
    """Show a run's log until it is over, or given up; raises why it never began, or RunHeld on Ctrl-C."""
    over = threading.Event()
    shown = threading.Thread(target=lambda: follow_log(open_run(store.url), over, as_json=as_json), daemon=True)
    shown.start()
    patience = _LAST_LINES_SECONDS
    try:
        return _until_over(store)
    except KeyboardInterrupt:
        patience = 0.0
        message = f"run {store.run_id} goes on"
        raise RunHeld(message, hint=f"Look at it again: runner show {store.url}") from None
    finally:
        over.set()
        shown.join(patience)


def _until_over(store: RunStore) -> EndDocument:
    while (outcome := store.read_outcome()) is None:
        if last := given_up(store):
            attempts = store.list_attempts()
            if attempts and (end := store.read_end(attempts[-1])):
                return end
            raise not_begun_error(last)
        time.sleep(_LOOK_SECONDS)
    return outcome
