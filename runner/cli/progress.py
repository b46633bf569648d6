"""How far a run is that lives, as its last heartbeat tells it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runner.naming import label_of
from runner.runs.display import size_text
from runner.runs.status import duration_text

if TYPE_CHECKING:
    from runner.schema.progress import HeartbeatNews, Progress, RunningTask, TaskProgress, UsageSeries

PROGRESS_COLUMNS = ("TASK", "STATE", "DONE", "RUNNING", "FAILED")
_NAMED = 4  # tasks that a line names


def progress_text(progress: Progress) -> str:
    """Return in a line how far a run is.

    Example:
        >>> from runner.cli.progress import progress_text
        >>> clean = {"task": "clean", "total": 8, "running": 2, "succeeded": 3, "failed": 1, "skipped": 0}
        >>> progress_text({"tasks": [clean], "more": 0, "longest": None})
        '4 of 8 done, 1 failed: clean 4 of 8'
    """
    tasks = progress["tasks"]
    totals = [task["total"] for task in tasks]
    known = sum(total for total in totals if total is not None)
    more = " or more" if None in totals or progress["more"] else ""
    text = f"{sum(map(done, tasks))} of {known}{more} done"
    if failed := sum(task["failed"] for task in tasks):
        text += f", {failed} failed"
    at_work = [task for task in tasks if task["running"]]
    parts = [f"{task['task']} {_of_total(task)}" for task in at_work[:_NAMED]]
    parts += [f"{len(at_work) - _NAMED} more tasks"] if len(at_work) > _NAMED else []
    text += f": {', '.join(parts)}" if parts else ""
    longest = progress["longest"]
    return f"{text}; longest {longest_text(longest)}" if longest else text


def usage_text(series: UsageSeries) -> str:
    """Return in a few words what a run uses: the processors between its last two heartbeats, and memory now.

    Empty where not so much is known.
    """
    points = list(zip(series["seconds"], series["cpu"], series["memory"], strict=False))
    if not points:
        return ""
    before, (seconds, cpu, memory) = points[-2] if len(points) > 1 else (0.0, 0.0, 0), points[-1]
    gone = seconds - before[0]
    cores = f"{max(0.0, cpu - before[1]) / gone:.1f} of {series['cpus']:g} processors, " if gone > 0 else ""
    limit = f" of {size_text(series['memory_limit'])}" if series["memory_limit"] else ""
    return f"{cores}{size_text(memory)}{limit}"


def news_texts(news: HeartbeatNews) -> dict[str, str]:
    """Return what a heartbeat tells, by the words before it: how far the run is, and what it uses."""
    progress, series = news.get("progress"), news.get("series")
    found = {"tasks": progress_text(progress) if progress else "", "uses": usage_text(series) if series else ""}
    return {name: text for name, text in found.items() if text}


def done(task: TaskProgress) -> int:
    """Return how many elements of a task will not run any more."""
    return task["succeeded"] + task["failed"] + task["skipped"]


def longest_text(longest: RunningTask) -> str:
    """Return what runs longest, and for how long: its machine's clock against this one's."""
    from datetime import datetime

    seconds = max(0.0, time.time() - datetime.fromisoformat(longest["since"]).timestamp())
    return f"{label_of(longest['task'], longest['index'])} for {duration_text(seconds)}"


def rows_of(progress: Progress) -> list[list[object]]:
    """Return a row a task: its name, state, and how many elements of it are done, run and failed."""
    return [
        [task["task"], _state(task), _of_total(task), task["running"], task["failed"]] for task in progress["tasks"]
    ]


def _of_total(task: TaskProgress) -> str:
    return f"{done(task)} of {'?' if task['total'] is None else task['total']}"


def _state(task: TaskProgress) -> str:
    if task["running"]:
        return "running"
    if done(task) != task["total"]:
        return "waiting"
    return next((state for state in ("failed", "skipped") if task[state]), "succeeded")
