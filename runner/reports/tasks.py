"""The tasks as a table: a row each, or of many their sums, and the first that failed."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from runner.reports.gathered import seconds_at
from runner.reports.markup import Html, fitting, joined, row, section, size_of, table, tag, text
from runner.reports.summary import state_cell
from runner.runs.display import label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.reports.gathered import Gathered
    from runner.runs.living import StoredTask
    from runner.schema.documents import TaskRecord

    AnyTask = TaskRecord | StoredTask

MANY = 2000  # tasks and elements from which on the page has sums
MOST_FAILURES = 100
_ROWS, _SUMS, _FAILURES = 450_000, 200_000, 120_000  # bytes
_WORST_FIRST = ("failed", "cancelled", "skipped", "succeeded")


class TaskSum(NamedTuple):
    """What became of a task: of a mapped one, of all its elements.

    ``timed`` has start and end, in seconds since the epoch, of each that ran in the run's last attempt.
    """

    slug: str
    mapped: bool
    states: Counter[str]
    tries: int
    size: int
    timed: Sequence[tuple[float, float, AnyTask]]

    @property
    def state(self) -> str:
        """The worst of its states."""
        return next((state for state in _WORST_FIRST if self.states[state]), "succeeded")


def span_of(task: AnyTask) -> tuple[float, float] | None:
    """Return when a task began and ended; None for what did not run, or not in the run's last attempt."""
    start, end = seconds_at(task["started"]), seconds_at(task["ended"])
    return None if start is None or end is None else (start, max(start, end))


def sums_of(tasks: Iterable[AnyTask]) -> dict[str, TaskSum]:
    """Return what became of each task by its slug, in the order in which they come."""
    found: dict[str, list[AnyTask]] = {}
    for task in tasks:
        found.setdefault(task["task"], []).append(task)
    return {slug: _sum_of(slug, units) for slug, units in found.items()}


def _sum_of(slug: str, tasks: Sequence[AnyTask]) -> TaskSum:
    mapped = any(task["mapped"] for task in tasks)
    counted = [task for task in tasks if task["index"] is not None] or tasks if mapped else tasks
    timed = [(*span, task) for task in tasks if (span := span_of(task))]
    return TaskSum(
        slug,
        mapped,
        Counter(task["state"] for task in counted),
        sum(task["tries"] or 0 for task in tasks),
        sum(task["result"]["size"] for task in tasks if task["result"]),
        timed,
    )


def tasks_section(facts: Gathered, sums: dict[str, TaskSum]) -> Html:
    """Return the table of tasks; from 2,000 on, or where a row each has no room, their sums."""
    tasks = facts.tasks
    if not tasks:
        return Html()
    rows = None if len(tasks) >= MANY else _rows(facts)
    if rows is not None and sum(map(size_of, rows)) <= _ROWS:
        return section("tasks", "Tasks", _table(rows, f"{len(tasks):,} tasks and elements"))
    failures = _rows_of(islice((task for task in tasks if task["state"] == "failed"), MOST_FAILURES), facts)
    failures = failures[: fitting(failures, _FAILURES)]
    count = sum(task["state"] == "failed" for task in tasks)
    title = f"The first {len(failures)} of {count:,} that failed" if count > len(failures) else "What failed"
    return section(
        "tasks",
        "Tasks",
        tag("p", Html(f"{len(tasks):,} tasks and elements: the page has their sums; outcome.json has each.")),
        _sums_table(list(sums.values())),
        joined(tag("h3", Html(title)), _table(failures, title)) if failures else Html(),
    )


_HEADS = [
    ("Task", ""),
    ("State", ""),
    ("Tries", "n"),
    ("Began after, s", "n"),
    ("Took, s", "n"),
    ("Bytes", "n"),
    ("Error", ""),
    ("Result", ""),
]


def _table(rows: list[Html], title: str) -> Html:
    return table(_HEADS, rows, label=title, kind="sorted")


def _rows(facts: Gathered) -> list[Html]:
    return _rows_of(facts.tasks, facts)


def _rows_of(tasks: Iterable[AnyTask], facts: Gathered) -> list[Html]:
    began = seconds_at(facts.end["started"]) if facts.end else None
    rows, errors = [], 0
    for task in tasks:
        errors += task["error"] is not None
        rows.append(_row(task, facts, began, with_error=errors <= MOST_FAILURES))
    return rows


def _row(task: AnyTask, facts: Gathered, began: float | None, *, with_error: bool) -> Html:
    span = span_of(task)
    result, error = task["result"], task["error"]
    return row(
        text(label(task), 200),
        state_cell(task["state"]),
        (Html(_tries(task)), "n"),
        (Html("" if span is None or began is None else f"{span[0] - began:.3f}"), "n"),
        (Html("" if span is None else f"{span[1] - span[0]:.3f}"), "n"),
        (Html(f"{result['size']:,}" if result else ""), "n"),
        (text(f"{error['type']}: {error['message']}", 200), "long") if error and with_error else Html(),
        (text(_short_key(result["key"], facts), 120, keep_end=True), "key") if result else Html(),
    )


def _tries(task: AnyTask) -> str:
    if task["tries"] is None:
        return ""
    return "taken" if task["tries"] == 0 and task["state"] == "succeeded" else f"{task['tries']:,}"


def _short_key(key: str, facts: Gathered) -> str:
    """Return a result's key below the run's folder, or, of another run's, as it is."""
    return key.removeprefix(f"{facts.prefix}/")


def _sums_table(sums: list[TaskSum]) -> Html:
    """Return a row a task; where there is no room for all, those that failed come first."""
    rows = [_sum_row(each) for each in sums]
    if fitting(rows, _SUMS) < len(rows):
        sums = sorted(sums, key=lambda each: _WORST_FIRST.index(each.state))
        rows = [_sum_row(each) for each in sums]
    kept = fitting(rows, _SUMS)
    heads = [
        ("Task", ""),
        ("State", ""),
        ("Succeeded", "n"),
        ("Failed", "n"),
        ("Skipped", "n"),
        ("Cancelled", "n"),
        ("Tries", "n"),
        ("Took, s", "n"),
        ("Median, s", "n"),
        ("Longest, s", "n"),
        ("Bytes", "n"),
    ]
    others = Counter[str]()
    for each in sums[kept:]:
        others += each.states
    told = ", ".join(f"{count:,} {state}" for state, count in sorted(others.items()))
    note = tag("p", text(f"{len(rows) - kept:,} more tasks are left out: {told}.", 400)) if told else Html()
    return joined(table(heads, rows[:kept], label="Tasks and their sums", kind="sorted"), note)


def _sum_row(each: TaskSum) -> Html:
    counts = [(Html(f"{each.states[state]:,}"), "n") for state in ("succeeded", "failed", "skipped", "cancelled")]
    took = sorted(end - start for start, end, _ in each.timed)
    times = (sum(took), (took[len(took) // 2] + took[(len(took) - 1) // 2]) / 2, took[-1]) if took else ()
    shown = [(Html(f"{seconds:.3f}"), "n") for seconds in times] or [(Html(), "n")] * 3
    return row(
        text(each.slug, 200),
        state_cell(each.state),
        *counts,
        (Html(f"{each.tries:,}"), "n"),
        *shown,
        (Html(f"{each.size:,}"), "n"),
    )
