"""A picture whose horizontal is time: as wide as there is room, with text that stays as large as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.reports.gathered import seconds_text
from runner.reports.markup import Html, joined, tag

if TYPE_CHECKING:
    from collections.abc import Iterable

_STEPS = (
    *(base * size for size in (0.001, 0.01, 0.1, 1) for base in (1, 2, 5)),
    *(10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 4, 6, 12)),
    *(86400 * days for days in (1, 2, 5, 10, 30, 100)),
)
_MOST_STEPS = 4  # which a phone has room for
_AXIS_HEIGHT = 22  # pixels


_KINDS = {
    "good": "succeeded",
    "bad": "failed, crashed or lost",
    "odd": "cancelled or skipped",
    "open": "running",
    "waiting": "waiting",
    "silent": "no sign of life",
}


def legend(kinds: Iterable[str]) -> Html:
    """Return what bars of these kinds stand for."""
    shown = set(kinds)
    items = []
    for kind, said in _KINDS.items():
        if kind in shown:
            box = tag("rect", class_=f"bar {kind}", width=14, height=10)
            items.append(tag("li", tag("svg", box, width=14, height=10, aria_hidden="true"), Html(said)))
    return tag("ul", *items, class_="legend")


class Axis(NamedTuple):
    """Time from ``start`` to ``end``, in seconds since the epoch, as shares of a picture's width."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """Seconds from one end to the other, never 0."""
        return max(self.end - self.start, 0.001)

    def place(self, time: float) -> float:
        """Return where a time is, in percent of the width."""
        return 100 * min(1.0, max(0.0, (time - self.start) / self.length))

    def share(self, start: float, end: float) -> float:
        """Return what a time span takes of the width, from 0 to 1."""
        return (self.place(end) - self.place(start)) / 100

    def bar(self, start: float, end: float, top: float, height: float, kind: str, title: Html) -> Html:
        """Return a bar; it can be seen however short its time is."""
        left = min(self.place(start), 99.7)
        width = max(self.place(end) - left, 0.3)
        head = f'<rect class="{kind}" x="{left:.2f}%" y="{top:g}" width="{width:.2f}%" height="{height:g}">'
        return Html(f"{head}<title>{title}</title></rect>" if title else f"{head}</rect>")

    def mark(self, time: float, top: float, height: float, title: Html) -> Html:
        """Return a line at a time."""
        x = f"{self.place(time):.2f}%"
        return tag("line", tag("title", title), class_="mark", x1=x, x2=x, y1=top - 4, y2=top + height + 4)

    def text(self, time: float, y: float, said: Html) -> Html:
        """Return a text whose middle is at a time."""
        return tag("text", said, class_="inside", x=f"{self.place(time):.2f}%", y=y, text_anchor="middle")

    def picture(self, content: Html, height: float, label: Html) -> Html:
        """Return the picture with times below it, counted from its start."""
        step = next((step for step in _STEPS if self.length / step <= _MOST_STEPS), self.length / _MOST_STEPS)
        ticks = [self._tick(number * step, height) for number in range(int(self.length / step) + 1)]
        return tag(
            "svg", joined(*ticks, content), role="img", aria_label=label, class_="time", height=height + _AXIS_HEIGHT
        )

    def _tick(self, after: float, height: float) -> Html:
        place = self.place(self.start + after)
        x = f"{place:.2f}%"
        anchor = "start" if place < 5 else "end" if place > 90 else "middle"  # noqa: PLR2004 - the text stays inside
        said = tag("text", Html(seconds_text(after) if after else "0"), x=x, y=height + 16, text_anchor=anchor)
        return joined(tag("line", class_="tick", x1=x, x2=x, y1=0, y2=height + 4), said)
