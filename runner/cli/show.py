"""``runner show``: a run's state, tasks and error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runner.cli.format import (
    as_json_option,
    echo,
    echo_block,
    echo_field,
    echo_json,
    label,
    plain,
    print_table,
    size_text,
)
from runner.cli.locations import check_end, open_run
from runner.errors import Untrusted
from runner.runs.status import run_status

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.runs.store import RunStore
    from runner.schema.documents import DeathRecord, EndDocument, TaskRecord


@click.command(short_help="Show a run: state, tasks, error.")
@click.argument("run")
@as_json_option
def show(run: str, *, as_json: bool) -> None:
    """Show the state of RUN, its tasks with their results, and its error."""
    store = open_run(run)
    status = run_status(store)
    end = status.end
    if as_json:
        active = {"run_id": store.run_id, "state": status.state, "silent": status.silence, "claim": status.claim}
        told = {"untrusted": untrusted} if (untrusted := _untrusted(store, end)) else {}
        echo_json({**end, **told} if end else active)
        return
    echo_field("run", store.run_id)
    echo_field("state", status.text)
    if end is None:
        if claim := status.claim:
            echo_field("attempt", f"{claim['attempt']}, since {claim['started']} on {claim['host']}")
        return
    echo_field("flow", plain(end["flow"]))
    echo_field("bundle", end["bundle"]["url"])
    if untrusted := _untrusted(store, end):
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


def _print_text(head: str, text: str) -> None:
    """Print a text of several lines below a head, indented."""
    echo("", head)
    echo_block(f"  {text.rstrip()}".replace("\n", "\n  "))


def _untrusted(store: RunStore, end: EndDocument | None) -> str:
    """Return why an end is not to be trusted here; empty if it is, or everybody is."""
    try:
        if end:
            check_end(store, end)
    except Untrusted as error:
        return error.message
    return ""


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


def _seconds(task: TaskRecord) -> float:
    from datetime import datetime

    if not task["started"] or not task["ended"]:
        return 0.0
    seconds = (datetime.fromisoformat(task["ended"]) - datetime.fromisoformat(task["started"])).total_seconds()
    return max(0.0, seconds)  # of a version whose tasks were timed by a clock that may be set back
