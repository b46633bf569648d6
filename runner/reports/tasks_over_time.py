"""When each task ran, as a picture: a line a task, a bar for each element, or what they make together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.reports.axis import Axis, legend
from runner.reports.gathered import seconds_at, seconds_text
from runner.reports.markup import Html, joined, tag, text
from runner.reports.summary import kind_of
from runner.runs.display import label

if TYPE_CHECKING:
    from runner.reports.gathered import Gathered
    from runner.reports.tasks import AnyTask, TaskSum

_MOST_LINES = 40
_MOST_BARS = 600  # in all lines
_MOST_LANES = 6  # of a line
_LABEL, _LANE, _GAP = 16, 7, 7  # pixels

Bar = tuple[float, float, str, str]  # start, end, kind, title


def tasks_over_time(facts: Gathered, sums: list[TaskSum]) -> Html:
    """Return the picture of the tasks that ran in the last attempt; nothing where no times are known."""
    timed = [_Line(each, *_reach(each)) for each in sums if each.timed]
    if not timed:
        return Html()
    shown = _chosen(timed)
    start = min(line.start for line in timed)
    began = seconds_at(facts.end["started"]) if facts.end else None
    axis = Axis(start if began is None else min(began, start), max(line.end for line in timed))
    parts: list[Html] = []
    top, kinds = 0.0, set[str]()
    for line in shown:
        lanes = _lanes(_bars(line.task, axis, _MOST_BARS // len(shown)))
        said = text(line.task.slug, 120)
        parts.append(tag("text", said, tag("tspan", text(_told(line), 120), class_="told"), x=0, y=top + 12))
        top += _LABEL
        kinds |= {kind for lane in lanes for _, _, kind, _ in lane}
        for lane in lanes:
            for start, end, kind, title in sorted(lane, key=_is_noteworthy):
                parts.append(axis.bar(start, end, top, _LANE - 2, f"bar {kind}", text(title, 60)))
            top += _LANE
        top += _GAP
    left_out = len(timed) - len(shown)
    note = Html(f"Of {len(timed):,} tasks these failed, or took longest.") if left_out else Html()
    return joined(
        tag("h3", Html("Tasks, from the attempt's start")),
        axis.picture(joined(*parts), top, text(f"When {len(shown)} tasks ran; the table of tasks has the times.", 200)),
        legend(kinds),
        tag("p", note, class_="note") if note else Html(),
    )


class _Line(NamedTuple):
    """A task, and from when to when it ran."""

    task: TaskSum
    start: float
    end: float


def _reach(each: TaskSum) -> tuple[float, float]:
    return min(start for start, _, _ in each.timed), max(end for _, end, _ in each.timed)


def _chosen(timed: list[_Line]) -> list[_Line]:
    """Return as many tasks as there is room for, in their order: those that failed, and that took longest."""
    if len(timed) <= _MOST_LINES:
        return timed
    ranked = sorted(timed, key=lambda line: (line.task.state != "failed", line.start - line.end))
    kept = {line.task.slug for line in ranked[:_MOST_LINES]}
    return [line for line in timed if line.task.slug in kept]


def _told(line: _Line) -> str:
    each = line.task
    total = sum(each.states.values())
    said = seconds_text(line.end - line.start)
    if each.mapped:
        said = f"{each.states['succeeded']:,} of {total:,} succeeded, {said}"
    return f" · {said}" + (f", {each.tries:,} tries" if each.tries > max(1, total) else "")


def _bars(each: TaskSum, axis: Axis, most: int) -> list[Bar]:
    """Return a bar for each element; of too many, those of a kind that follow closely become one."""
    if len(each.timed) <= most:
        return sorted(
            (start, end, kind_of(task["state"]), _title(task, end - start)) for start, end, task in each.timed
        )
    spans = sorted((start, end, kind_of(task["state"])) for start, end, task in each.timed)
    return _merged(spans, axis.length * 3 / max(most, 3))


def _title(task: AnyTask, seconds: float) -> str:
    tries = f", {task['tries']} tries" if (task["tries"] or 0) > 1 else ""
    return f"{label(task)}: {seconds_text(seconds)}{tries}"


def _merged(spans: list[tuple[float, float, str]], gap: float) -> list[Bar]:
    """Return bars of which no two of a kind are nearer than the gap, each for all that it covers."""
    last: dict[str, tuple[float, float, int]] = {}
    merged: list[Bar] = []
    for start, end, kind in spans:
        if kind in last and start <= last[kind][1] + gap:
            first, until, count = last[kind]
            last[kind] = first, max(until, end), count + 1
            continue
        if kind in last:
            merged.append(_bar_of(kind, *last[kind]))
        last[kind] = start, end, 1
    return sorted([*merged, *(_bar_of(kind, *span) for kind, span in last.items())])


def _bar_of(kind: str, start: float, end: float, count: int) -> Bar:
    return start, end, kind, f"{count:,} elements"


def _is_noteworthy(bar: Bar) -> bool:
    """Return whether a bar is drawn above others where there is no room beside them."""
    return bar[2] != "good"


def _lanes(bars: list[Bar]) -> list[list[Bar]]:
    """Return bars in lanes, in each one after the other; where there are too many at once, the last has the rest."""
    lanes: list[list[Bar]] = []
    for bar in bars:
        free = next((lane for lane in lanes if lane[-1][1] <= bar[0]), None)
        if free is not None:
            free.append(bar)
        elif len(lanes) < _MOST_LANES:
            lanes.append([bar])
        else:
            lanes[-1].append(bar)
    return lanes or [[]]
