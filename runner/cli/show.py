"""``runner show``: a run's state, tasks and error."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from runner import naming
from runner.agents.submit import given_up, why_run_waits
from runner.cli.format import (
    as_json_option,
    echo,
    echo_block,
    echo_field,
    echo_json,
    plain,
    print_table,
)
from runner.cli.launches import print_launches
from runner.cli.live import can_draw, draw
from runner.cli.locations import open_run, why_untrusted
from runner.cli.progress import PROGRESS_COLUMNS, news_texts, rows_of
from runner.errors import BundleCorrupt, NotFound
from runner.runs.display import label, size_text
from runner.runs.launches import launches_of
from runner.runs.living import living_document, stored_tasks
from runner.runs.status import run_status, status_without_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Storage
    from runner.runs.living import StoredTask
    from runner.runs.status import RunStatus
    from runner.runs.store import RunStore
    from runner.schema.documents import ClaimDocument, DeathRecord, TaskRecord

_LOOK_SECONDS = 2.0


@click.command(short_help="Show a run; report makes a page of it.")
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Print each change first, until it is over or given up.")
@as_json_option
def show(run: str, *, follow: bool, as_json: bool) -> int:
    """Show the state of RUN, its tasks with their results, and its error; while it lives, the results so far.

    Of an outcome that cannot be read that is told, the last attempt is shown, and the exit code is 65.
    """
    store = open_run(run)
    if follow:
        _follow(store)
    unreadable = None
    try:
        status = run_status(store)
    except BundleCorrupt as error:
        unreadable, status = error, _without_outcome(store, error)
    end = status.end
    if as_json:
        told: dict[str, object] = {"untrusted": untrusted} if (untrusted := why_untrusted(store, end)) else {}
        told |= {"unreadable": str(unreadable)} if unreadable else {}
        told |= {"launches": launches} if (launches := launches_of(store)) else {}
        told |= {"waits": waits} if (waits := why_run_waits(store, status)) else {}
        echo_json({**(end or living_document(store, status)), **told})
    else:
        _print(store, status, unreadable)
        if waits := why_run_waits(store, status):
            echo_field("waits", waits)
        print_launches(launches_of(store), is_over=not status.is_active)
    return unreadable.code if unreadable else 0


def _follow(store: RunStore) -> None:
    """Draw a run, or print a line for each change, on standard error; until it is over, or was given up."""
    if can_draw():
        draw(store, _looks(store), partial(_stage, store))
        return
    told = ""
    for status in _looks(store):
        if (now := _stage(store, status)) != told:
            echo(f"{naming.now()[:19]}Z {now}", err=True)
            told = now


def _looks(store: RunStore) -> Iterator[RunStatus]:
    """Yield how a run stands, every two seconds until it is over, or was given up."""
    with suppress(BundleCorrupt):  # which is told with all else
        while (status := run_status(store)).is_active and not given_up(store):
            yield status
            time.sleep(_LOOK_SECONDS)


def _stage(store: RunStore, status: RunStatus) -> str:
    """Return in a few words how far a run has come that is not over."""
    if status.claim:
        told = news_texts(store.read_news(status.claim["attempt"]))
        return ", ".join([status.state, f"attempt {status.claim['attempt']}", *told.values()])
    if waits := why_run_waits(store, status):
        return f"waits {waits}"
    numbers = store.list_launches()
    return f"{status.state}, launch {numbers[-1]} has not begun yet" if numbers else status.state


def _without_outcome(store: RunStore, unreadable: BundleCorrupt) -> RunStatus:
    """Return what the last attempt says; where nothing can be read of it either, raise why the outcome cannot."""
    try:
        return status_without_outcome(store)
    except (BundleCorrupt, NotFound):
        raise unreadable from None


def _print(store: RunStore, status: RunStatus, unreadable: BundleCorrupt | None) -> None:
    end = status.end
    echo_field("run", store.run_id)
    if unreadable:
        echo_field("outcome", f"unreadable, so what follows is its last attempt's: {unreadable}")
    echo_field("state", status.text)
    if end is None:
        _print_living(store, status.claim)
        return
    echo_field("flow", plain(end["flow"]))
    echo_field("bundle", end["bundle"]["url"])
    if untrusted := why_untrusted(store, end):
        echo_field("signed", f"by nobody who is trusted here: {untrusted}")
    echo_field("exit", end["exit_code"])
    echo_field("began", end["started"])
    echo_field("ended", f"{end['ended']}, attempt {end['attempt']}")
    if end["error"]:
        echo_field("error", end["error"]["message"])
    _print_death(end.get("death"))
    if end["tasks"]:
        echo("")
        _print_tasks(store.storage, end["tasks"])
    for task in end["tasks"]:
        if task["error"]:
            _print_text(f"{label(task)}:", task["error"]["traceback"])


def _print_living(store: RunStore, claim: ClaimDocument | None) -> None:
    """Print how far a run is that is not over, and what it has stored so far."""
    if claim:
        echo_field("attempt", f"{claim['attempt']}, since {claim['started']} on {claim['host']}")
    news = store.read_news(claim["attempt"]) if claim else {}
    for name, text in news_texts(news).items():
        echo_field(name, text)
    if progress := news.get("progress"):
        echo("")
        print_table(PROGRESS_COLUMNS, rows_of(progress))
    if tasks := stored_tasks(store):
        echo("")
        _print_stored(store.storage, tasks)


def _print_text(head: str, text: str) -> None:
    """Print a text of several lines below a head, indented."""
    echo("", head)
    echo_block(f"  {text.rstrip()}".replace("\n", "\n  "))


def _print_death(death: DeathRecord | None) -> None:
    """Print what is known of a process that ended without reporting how."""
    if death is None:
        return
    if death["peak_memory"]:
        echo_field("memory", f"{size_text(death['peak_memory'])} at the most")
    if death["log"]:
        _print_text("its last lines:", death["log"])
    if death["trace"]:
        _print_text("its trace:", death["trace"])


def _print_tasks(storage: Storage, tasks: list[TaskRecord]) -> None:
    """Print a row a task; the elements of a mapped one are counted, and their results lie in one folder."""
    rows = []
    by_slug: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        by_slug.setdefault(task["task"], []).append(task)
    for slug, units in by_slug.items():
        stored = [task["result"] for task in units if task["result"]]
        states = [task["state"] for task in units]
        state = next((each for each in ("failed", "cancelled", "skipped") if each in states), "succeeded")
        if units[0]["mapped"]:
            elements = [task for task in units if task["index"] is not None]
            done = sum(task["state"] == "succeeded" for task in elements)
            state += f" ({done} of {len(elements)})"
        seconds = sum(_seconds(task) for task in units)
        url = "" if not stored else storage.url(stored[0]["key"].encode(errors="backslashreplace").decode())
        if len(stored) > 1:
            url = f"{url.rpartition('/')[0]}/"
        size = size_text(sum(result["size"] for result in stored)) if stored else ""
        rows.append([slug, state, sum(task["tries"] for task in units), f"{seconds:.2f}", size, url])
    print_table(["TASK", "STATE", "TRIES", "SECONDS", "SIZE", "RESULT"], rows)


def _print_stored(storage: Storage, tasks: list[StoredTask]) -> None:
    """Print a row a task of a run that is not over: of what was stored, the storage tells no more."""
    by_slug: dict[str, list[StoredTask]] = {}
    for task in tasks:
        by_slug.setdefault(task["task"], []).append(task)
    rows = []
    for slug, stored in by_slug.items():
        url = storage.url(stored[0]["result"]["key"])
        is_mapped = any(task["mapped"] for task in stored)
        state = f"succeeded ({len(stored)} so far)" if is_mapped else "succeeded"
        size = size_text(sum(task["result"]["size"] for task in stored))
        rows.append([slug, state, size, f"{url.rpartition('/')[0]}/" if len(stored) > 1 else url])
    print_table(["TASK", "STATE", "SIZE", "RESULT"], rows)


def _seconds(task: TaskRecord) -> float:
    from datetime import datetime

    if not task["started"] or not task["ended"]:
        return 0.0
    seconds = (datetime.fromisoformat(task["ended"]) - datetime.fromisoformat(task["started"])).total_seconds()
    return max(0.0, seconds)  # of a version whose tasks were timed by a clock that may be set back
