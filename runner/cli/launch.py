"""``runner launch``: start the image of a flow on a platform, and look after its run."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from runner.cli.format import as_json_option, echo, echo_block, echo_json
from runner.cli.launch_options import budget_options, budgets_of, launch_options, launcher_of, wishes_of
from runner.cli.locations import bundle_location, open_run, read_settings
from runner.cli.logs import follow_log
from runner.cli.parameters import read_run_id
from runner.environments import LAUNCHER_KINDS
from runner.errors import RunHeld, UsageError
from runner.launchers.launch import find, find_in_image, launch, rendered
from runner.runs.cancelling import cancel_run

if TYPE_CHECKING:
    from runner.launchers.watch import Watcher
    from runner.schema.documents import EndDocument

_IN_IMAGE = "docker://"  # before the name of an image that a flow was baked into
_UNTOLD = ("crashed", "lost")  # ends that stand in no log, as whoever looked after the run wrote them
_LAST_LINES_SECONDS = 10.0  # that the end of a log may come after the outcome


@click.command(name="launch", short_help="Start a flow's image on a platform.")
@click.argument("kind", type=click.Choice(LAUNCHER_KINDS), metavar="KIND")
@click.argument("location")
@launch_options
@click.option("--run-id", metavar="ID", help="Begin, or look after, the run of this id.")
@click.option("-f", "--follow", is_flag=True, help="Show its log until it is over, and end with its code.")
@click.option("-d", "--detach", is_flag=True, help="Return when the platform has taken it.")
@click.option("--render", is_flag=True, help="Print what the platform would be asked for, and ask for nothing.")
@budget_options
@as_json_option
def launch_command(
    kind: str, location: str, *, follow: bool, detach: bool, render: bool, as_json: bool, **given: Any
) -> int:
    """Start the flow at LOCATION, or in the image docker://IMAGE, on KIND, and wait until its run has begun.

    What never began is launched again --start-retries times, what began and died --restarts times.
    """
    if follow and detach:
        raise UsageError("--follow and --detach exclude each other", hint="Leave one of them out.")
    image = location.removeprefix(_IN_IMAGE) if location.startswith(_IN_IMAGE) else ""
    where, settings = (None, read_settings(with_location=False)) if image else bundle_location(location)
    wishes, launcher = wishes_of(settings, given), launcher_of(kind, given)
    launcher.tell = tell = lambda text: echo(text, err=True)
    run_id = read_run_id(given["run_id"]) or settings.run_id
    settings = settings._replace(run_id=None)
    found = find(where, settings) if where else find_in_image(image, launcher, settings)
    if render:
        echo_block(rendered(found, launcher, wishes, run_id).rstrip("\n"))
        return 0
    watcher = launch(
        found,
        launcher,
        wishes,
        run_id=run_id,
        budgets=budgets_of(given),
        tell=tell,
    )
    echo(f"{_what_was_done(watcher)}: {watcher.store.url}", err=as_json or follow)
    if detach and watcher.is_taken_up:
        echo("this does not look after it: without --detach it is looked after, and what died launched again", err=True)
    end = None if detach else _watch(watcher, follow=follow, as_json=as_json)
    if end and end["error"] and end["state"] in _UNTOLD:
        echo(f"run {watcher.store.run_id} {end['state']}: {end['error']['message']}", err=True)
    if as_json:
        echo_json({"run": watcher.store.url, "launch": watcher.launch.number, "name": watcher.launch.name, "end": end})
    return end["exit_code"] if end else 0


def _what_was_done(watcher: Watcher) -> str:
    if not watcher.launch.name:
        return "it is over, and was not launched again"
    return f"{watcher.launch.name} was launched before" if watcher.is_taken_up else f"launched {watcher.launch.name}"


def _watch(watcher: Watcher, *, follow: bool, as_json: bool) -> EndDocument | None:
    """Look after a run until it has begun or, to follow it, is over; Ctrl-C asks whether to leave or to cancel it."""
    over, leaves = threading.Event(), False
    url = watcher.store.url
    shown = threading.Thread(target=lambda: follow_log(open_run(url), over, as_json=as_json), daemon=True)
    try:
        if not follow:
            return watcher.until_claimed()
        shown.start()
        return watcher.until_over()
    except KeyboardInterrupt:
        if leaves := not _is_to_cancel():
            message = f"run {watcher.store.run_id} goes on"
            raise RunHeld(message, hint=f"Look after it again: runner show {watcher.store.url}") from None
        cancel_run(watcher.store, None, within=0.0, interval=15.0)
        return watcher.until_over()  # which kills what does not hear of it
    finally:
        over.set()
        if shown.ident and not leaves:
            shown.join(_LAST_LINES_SECONDS)


def _is_to_cancel() -> bool:
    """Ask whether the run is to be cancelled; where nobody can answer, or Ctrl-C does again, it is not."""
    echo("", err=True)
    try:
        return sys.stdin.isatty() and click.confirm("Cancel the run? Otherwise it goes on", default=False, err=True)
    except click.Abort:
        return False
