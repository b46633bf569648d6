"""The run's course: when it waited, worked and was lost, as a picture and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.reports.axis import Axis, legend
from runner.reports.gathered import seconds_at, seconds_text, time_text, told
from runner.reports.markup import Html, joined, row, section, table, tag, text
from runner.reports.summary import kind_of, memory_of, state_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.reports.gathered import Attempt, Gathered

_TOP, _HEIGHT = 4, 24  # pixels


class Span(NamedTuple):
    """A part of the run's time: ``kind`` is ``waiting``, ``silent``, or that of an attempt's state."""

    kind: str
    start: float
    end: float
    label: str
    number: int = 0

    @property
    def title(self) -> str:
        """What it is, and how long it took."""
        return f"{self.label}: {seconds_text(self.end - self.start)}"


def spans_of(facts: Gathered) -> list[Span]:
    """Return the run's time in order: what it waited, its attempts, and what was silent at the end of lost ones."""
    spans: list[Span] = []
    now = seconds_at(facts.made) or 0.0
    free = seconds_at(facts.request["requested"]) if facts.request else None
    for attempt in facts.attempts:
        start = seconds_at(attempt.started)
        if start is None:
            continue
        if free is not None and start > free:
            spans.append(Span("waiting", free, start, "before it began" if not _worked(spans) else "between attempts"))
        end = max(start, seconds_at(attempt.end["ended"]) or now if attempt.end else now)
        spans += _attempt_spans(attempt, start, end)
        free = end
    if free is not None and not facts.attempts:
        spans.append(Span("waiting", free, max(free, now), "until now"))
    return spans


def _worked(spans: Sequence[Span]) -> bool:
    return any(span.number for span in spans)


def _attempt_spans(attempt: Attempt, start: float, end: float) -> list[Span]:
    state = attempt.end["state"] if attempt.end else "running"
    label = f"attempt {attempt.number}, {state}"
    sign = seconds_at(attempt.last_sign)
    if state == "lost" and sign is not None and start <= sign < end:
        lost = Span("silent", sign, end, f"attempt {attempt.number}, no sign of life", attempt.number)
        return [Span("bad", start, sign, label, attempt.number), lost]
    return [Span(kind_of(state), start, end, label, attempt.number)]


def course(facts: Gathered) -> list[Html]:
    """Return the picture of the run's time, what was waited and lost, and a row an attempt."""
    spans = spans_of(facts)
    parts: list[Html] = []
    if spans:
        parts += [_picture(facts, spans), legend(span.kind for span in spans)]
        parts.append(_told(spans))
    if facts.attempts:
        parts.append(_table(facts))
    return parts


def _picture(facts: Gathered, spans: list[Span]) -> Html:
    axis = Axis(spans[0].start, max(span.end for span in spans))
    bars = [axis.bar(span.start, span.end, _TOP, _HEIGHT, f"bar {span.kind}", text(span.title, 200)) for span in spans]
    marks = [
        axis.mark(launched, _TOP, _HEIGHT, Html(f"launch {shown['launch']}"))
        for shown in facts.launches
        if shown["claim"] and (launched := seconds_at(shown["claim"]["launched"])) is not None
    ]
    numbers = [
        axis.text((span.start + span.end) / 2, _TOP + 16, Html(str(span.number)))
        for span in spans
        if span.number and span.kind != "silent" and axis.share(span.start, span.end) > 0.04  # noqa: PLR2004
    ]
    said = "; ".join(span.title for span in spans[:20])
    return axis.picture(joined(*bars, *marks, *numbers), _TOP + _HEIGHT, text(f"The run's time: {said}", 2000))


def _told(spans: list[Span]) -> Html:
    """Return how long the run waited, worked, and what of that is lost."""
    waited = sum(span.end - span.start for span in spans if span.kind == "waiting")
    silent = sum(span.end - span.start for span in spans if span.kind == "silent")
    attempts = [span for span in spans if span.number]
    last = max((span.number for span in attempts), default=0)
    before = sum(span.end - span.start for span in attempts if span.number < last)
    said = [f"waited {seconds_text(waited)}" if waited >= 1 else ""]
    said.append(f"{seconds_text(before)} in attempts that others followed" if before else "")
    said.append(f"{seconds_text(silent)} of that without a sign of life" if silent else "")
    whole = "; ".join(part for part in said if part)
    return tag("p", Html(f"{whole[:1].upper()}{whole[1:]}.")) if whole else Html()


def _table(facts: Gathered) -> Html:
    rows = [_row(attempt, facts) for attempt in facts.attempts]
    heads = [("Attempt", "n"), ("State", ""), ("Began", ""), ("Took", ""), ("On", ""), ("Memory", "n"), ("Why", "")]
    left_out = facts.attempt_count - len(facts.attempts)
    note = tag("p", Html(f"The {left_out:,} attempts before these are left out.")) if left_out > 0 else Html()
    return joined(table(heads, rows, label="Table of attempts"), note)


def _row(attempt: Attempt, facts: Gathered) -> Html:
    end, start = attempt.end, seconds_at(attempt.started)
    is_last = attempt.number == facts.attempt_count
    state = end["state"] if end else facts.status.state if is_last and facts.end is None else "no end"
    until = seconds_at(end["ended"] if end else facts.made)
    took = seconds_text(max(0.0, until - start)) if start is not None and until is not None else ""
    host = told(attempt.claim, "host") or told(end, "host")
    why = end["error"]["message"] if end and end["error"] else ""
    return row(
        (Html(str(attempt.number)), "n"),
        state_cell(state),
        (text(time_text(attempt.started), 40), "t"),
        (Html(took), "t"),
        text(host, 100),
        (memory_of(end), "n"),
        (text(why, 300), "long"),
    )


def timeline(facts: Gathered, tasks: Html) -> Html:
    """Return the section with the run's course, and below it that of its tasks."""
    return section("timeline", "Timeline", *course(facts), tasks)
