"""A run as it goes, drawn at a terminal: a bar a task, what it uses of how much, and its last line.

It is drawn by Rich, https://rich.readthedocs.io, of the extra ``ui``; without it, or a terminal, lines are printed.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

from runner.cli.logs import LastLine
from runner.cli.progress import done, longest_text, usage_text
from runner.logs import printable
from runner.runs.status import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, Group
    from rich.table import Table

    from runner.runs.status import RunStatus
    from runner.runs.store import RunStore
    from runner.schema.progress import HeartbeatNews, Progress, TaskProgress

_MOST_BARS = 15  # tasks that are drawn
_BAR = 30  # characters
_LEAST_DONE = 0.05  # of a run, before it is said how long the rest may take


def can_draw() -> bool:
    """Return whether somebody looks at a terminal, and there is what draws on it."""
    return sys.stderr.isatty() and find_spec("rich") is not None


def draw(
    store: RunStore, looks: Iterator[RunStatus], stage: Callable[[RunStatus], str], console: Console | None = None
) -> None:
    """Draw a run anew with each look at it, until there are no more.

    Args:
        store: the run.
        looks: what is to be drawn, when it is to be.
        stage: says of a run without an attempt how far it is.
        console: where; by default standard error.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    last_line = LastLine(store)
    with Live(console=console or Console(stderr=True), auto_refresh=False) as live:
        for status in looks:
            if status.claim is None:
                live.update(Text(printable(stage(status))), refresh=True)
                continue
            attempt = status.claim["attempt"]
            head = f"run {store.run_id}: {status.text}, attempt {attempt}"
            gone = time.time() - datetime.fromisoformat(status.claim["started"]).timestamp()
            live.update(_picture(head, max(0.0, gone), store.read_news(attempt), last_line.read(attempt)), refresh=True)


def _picture(head: str, gone: float, news: HeartbeatNews, line: str) -> Group:
    from rich.console import Group
    from rich.text import Text

    progress, series = news.get("progress"), news.get("series")
    left = f", about {duration_text(seconds)} left" if progress and (seconds := _left(progress, gone)) else ""
    parts = [Text(printable(f"{head}, for {duration_text(gone)}{left}"), style="bold")]
    below = [usage_text(series) if series else "", line]
    if progress and progress["longest"]:
        below.insert(0, f"longest {longest_text(progress['longest'])}")
    texts = [Text(printable(text), style="dim", no_wrap=True, overflow="ellipsis") for text in below if text]
    return Group(*parts, *([_bars(progress)] if progress else []), *texts)


def _bars(progress: Progress) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    tasks = progress["tasks"]
    if len(tasks) > _MOST_BARS:  # those that are done need no bar
        tasks = [task for task in tasks if done(task) != task["total"]][:_MOST_BARS] or tasks[-_MOST_BARS:]
    for task in tasks:
        total = task["total"]
        bar = ProgressBar(total=total or 1, completed=min(done(task), total or 0), width=_BAR)
        table.add_row(Text(printable(task["task"])), bar, Text(_counts(task)))
    if hidden := len(progress["tasks"]) - len(tasks) + progress["more"]:
        table.add_row(Text(f"and {hidden} more"))
    return table


def _counts(task: TaskProgress) -> str:
    total = "?" if task["total"] is None else task["total"]
    words = [f"{done(task)} of {total}"]
    words += [f"{task[name]} {name}" for name in ("running", "failed", "skipped") if task[name]]
    return ", ".join(words)


def _left(progress: Progress, gone: float) -> float | None:
    """Return how many seconds the rest may take, if it goes on as it went; None where nobody can say."""
    totals = [task["total"] for task in progress["tasks"]]
    known = [total for total in totals if total is not None]
    over = sum(map(done, progress["tasks"]))
    if progress["more"] or len(known) < len(totals) or over < _LEAST_DONE * sum(known) or not over:
        return None
    return gone * (sum(known) - over) / over
