"""What a run used over time, against its limits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from runner.reports.gathered import seconds_text
from runner.reports.markup import Html, joined, section, tag, text
from runner.runs.display import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.reports.gathered import Series

_MOST_SERIES = 24
_MOST_POINTS = 400
_WIDTH, _HEIGHT = 1000, 100  # of the picture's own units; it is as wide as there is room


def resources_section(resources: Sequence[Series]) -> Html:
    """Return a picture for each series that has points; nothing without any."""
    drawn = [_figure(series) for series in [series for series in resources if series.points][:_MOST_SERIES]]
    return section("resources", "Resources", *drawn) if drawn else Html()


def _figure(series: Series) -> Html:
    start, end = series.points[0][0], series.points[-1][0]
    highest = max(value for _, value in series.points)
    top = max(highest, series.limit or 0.0) * 1.05 or 1.0
    length = max(end - start, 0.001)
    points = " ".join(
        f"{_WIDTH * (time - start) / length:.0f},{_HEIGHT * (1 - value / top):.1f}"
        for time, value in _thinned(series.points)
    )
    parts = [tag("polyline", class_="used", points=points, vector_effect="non-scaling-stroke")]
    said = f"{series.name} of attempt {series.attempt}: at the most {_amount(highest, series.unit)}"
    if series.limit:
        y = f"{_HEIGHT * (1 - series.limit / top):.1f}"
        parts.append(tag("line", class_="limit", x1=0, x2=_WIDTH, y1=y, y2=y, vector_effect="non-scaling-stroke"))
        said += f" of {_amount(series.limit, series.unit)}, {highest / series.limit:.0%}"
    said += f", in {seconds_text(end - start)}"
    picture = tag(
        "svg",
        joined(*parts),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=text(said, 300),
        class_="series",
    )
    return tag("figure", tag("figcaption", text(f"{said[:1].upper()}{said[1:]}.", 300)), picture)


def _amount(value: float, unit: str) -> str:
    return size_text(round(value)) if unit == "bytes" else f"{value:.3g} {unit}"


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most so many points, each the highest of those for which it stands."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    edges = [number * len(points) // _MOST_POINTS for number in range(_MOST_POINTS + 1)]
    return [max(points[first:last], key=lambda point: point[1]) for first, last in pairwise(edges)]
