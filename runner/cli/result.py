"""``runner result``: the value of a task, or its bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

import click

from runner.backends.pieces import CHUNK
from runner.cli.format import as_json_option, echo_answer, echo_block, echo_json
from runner.cli.locations import check_end, open_run
from runner.cli.output import output_file
from runner.errors import NotFound, UsageError
from runner.naming import slug_meant
from runner.runs import results
from runner.runs.display import label, size_text
from runner.runs.status import run_status

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.schema.documents import ResultRecord, TaskRecord

_MOST_NAMED = 5  # elements in a message


@click.command(short_help="Show or copy what a task gave.")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Copy the bytes to a file; nothing is unpickled.")
@as_json_option
def result(run: str, task: str | None, output: Path | None, *, as_json: bool) -> None:
    """Show what TASK (as in clean, or clean[3]) gave in RUN; without TASK, what the last one gave."""
    store = open_run(run)
    storage, end = store.storage, run_status(store).end
    check_end(store, end)
    storage.warn_of_writers()
    tasks = end["tasks"] if end else []
    task = task and _label_meant(task, tasks)
    found = _results_of(tasks, task)
    if output is not None:
        if len(found) != 1 or (found[0]["index"] is None and found[0]["mapped"]):
            message = f"{found[0]['task']} is mapped, and a file takes one result"
            raise UsageError(message, hint=f"Choose an element: {found[0]['task']}[0].")
        record = found[0]["result"]
        assert record is not None  # noqa: S101 - only a mapped task's list has none
        _copy(storage, record, output)
        if str(output) == "-":
            return
        copied = {"task": label(found[0]), "file": str(output), **record}
        echo_answer(copied, f"{output}: {size_text(record['size'])}, verified", as_json=as_json)
        return
    whole = found[0]["mapped"] and (found[0]["index"] is None or task != label(found[0]))
    values = [results.read_result(storage, each["result"]) for each in found if each["result"]]
    value = values if whole else values[0]
    if as_json:
        try:
            echo_json(value, exact=True)
        except (TypeError, ValueError) as error:
            message = f"the value cannot be shown as JSON: {error}"
            raise UsageError(message, hint="Copy it with -o FILE, or leave --json out.") from error
    else:
        try:
            text = repr(value)
        except Exception as error:
            message = f"the value cannot be shown: {error!r}"
            raise UsageError(message, hint="Copy it with -o FILE.") from error
        echo_block(text)


def _label_meant(wanted: str, tasks: list[TaskRecord]) -> str:
    """Return the label of a task, or of an element, that is called by its name."""
    names = {task["task"]: task["name"] for task in tasks}
    slug = slug_meant(wanted, names)
    if slug in names:
        return slug
    name, bracket, index = wanted.rpartition("[")
    return f"{slug_meant(name, names)}{bracket}{index}"


def _results_of(tasks: list[TaskRecord], wanted: str | None) -> list[TaskRecord]:
    """Return the records of the task, or of its elements, that is ``wanted``; without one, of the last with a result.

    Raises NotFound, which names the tasks with results; also for a mapped task some of whose elements have none, as
    those that are left would have wrong positions.
    """
    with_results = [task for task in tasks if _has_value(task)]
    if wanted is None and with_results:
        wanted = with_results[-1]["task"]
    matching = [task for task in tasks if wanted in {task["task"], label(task)}]
    found, lacking = ([task for task in matching if _has_value(task) is has] for has in (True, False))
    states = " and ".join(sorted({task["state"] for task in lacking}))
    if not found:
        names = ", ".join(dict.fromkeys(task["task"] for task in with_results)) or "none"
        message = f"the run has no result of {wanted!r}" if wanted else "the run has no results"
        message += f", which {states}" if states else ""
        raise NotFound(message, hint=f"Tasks with results: {names}.")
    if lacking:
        labels = ", ".join(map(label, lacking[:_MOST_NAMED]))
        labels += f" and {len(lacking) - _MOST_NAMED} more" if len(lacking) > _MOST_NAMED else ""
        message = f"{len(lacking)} of {len(matching)} elements have no result: {labels} ({states})"
        raise NotFound(message, hint=f"Ask for one element, like {label(found[0])}.")
    return found


def _has_value(task: TaskRecord) -> bool:
    """Return whether a task has something to show: a result, or, mapped over nothing, an empty list."""
    empty = task["mapped"] and task["index"] is None and task["state"] == "succeeded"
    return bool(task["result"] or empty)


def _copy(storage: Storage, record: ResultRecord, output: Path) -> None:
    """Copy a result to a file of this user alone, whole and verified or not at all; ``-`` is standard output."""
    if str(output) == "-":
        if sys.stdout.isatty():
            message = "a pickle is bytes, and standard output is a terminal, which would obey some of them"
            raise UsageError(message, hint="Name a file, or a pipe.")
        with SpooledTemporaryFile(max_size=CHUNK) as verified:
            results.copy_result(storage, record, verified)
            verified.seek(0)
            copyfileobj(verified, sys.stdout.buffer)
        return
    with output_file(output) as file:
        results.copy_result(storage, record, file)
