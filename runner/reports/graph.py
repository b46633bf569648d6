"""The flow's graph: which task waits for which, from left to right, with what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.reports.markup import Html, joined, scrolled, section, tag, text
from runner.reports.summary import SIGNS, kind_of

if TYPE_CHECKING:
    from runner.reports.gathered import Gathered
    from runner.reports.tasks import TaskSum
    from runner.schema.documents import TaskUse

_MOST_NODES, _MOST_EDGES = 120, 300
_WIDTH, _HEIGHT, _ACROSS, _DOWN = 156, 30, 46, 12  # pixels
_EDGE = 4  # pixels above the first row, for the second outline of a mapped task
_LETTERS = 19  # that a box has room for

Places = dict[str, tuple[int, int]]  # by slug: the column, and the row in it


def graph_section(facts: Gathered, sums: dict[str, TaskSum]) -> Html:
    """Return the graph; where there is none to show, a word why."""
    manifest = facts.flow.manifest
    if manifest is None:
        why = facts.flow.note
        return section("graph", "Graph", tag("p", text(f"No graph: {why}.", 600))) if why else Html()
    uses = manifest.get("tasks")
    if not _are_uses(uses):
        return section("graph", "Graph", tag("p", Html("No graph: its manifest has none that can be read.")))
    if not uses:
        return Html()
    edges = [(source, use["task"]) for use in uses for source in use["upstream"]]
    if len(uses) > _MOST_NODES or len(edges) > _MOST_EDGES:
        said = f"{len(uses):,} tasks and {len(edges):,} arrows are too many for a picture; runner inspect lists them."
        return section("graph", "Graph", tag("p", Html(said)))
    places = _places(uses)
    columns = 1 + max(column for column, _ in places.values())
    rows = 1 + max(number for _, number in places.values())
    picture = tag(
        "svg",
        *(_edge(places[source], places[target]) for source, target in edges if _is_drawn(source, target, places)),
        *(_node(use, places[use["task"]], sums.get(use["task"])) for use in uses),
        role="img",
        aria_label=Html(f"The flow's graph: {len(uses)} tasks, {len(edges)} arrows; the list below has the same."),
        width=columns * (_WIDTH + _ACROSS) - _ACROSS + 2 * _EDGE,
        height=rows * (_HEIGHT + _DOWN) + _EDGE,
        class_="graph",
    )
    return section("graph", "Graph", scrolled(picture, "The flow's graph"), _as_text(uses))


def _are_uses(uses: object) -> bool:
    """Return whether this is the list of a flow's tasks: a run is not decided by it, so nobody has looked before."""
    return isinstance(uses, list) and all(
        isinstance(use, dict)
        and isinstance(use.get("task"), str)
        and isinstance(use.get("upstream"), list)
        and all(isinstance(source, str) for source in use["upstream"])
        for use in uses
    )


def _is_drawn(source: str, target: str, places: Places) -> bool:
    """Return whether an arrow goes from left to right; anybody may have written others."""
    return source in places and places[source][0] < places[target][0]


def _places(uses: list[TaskUse]) -> Places:
    """Return where each task stands: right of all that it waits for, near the middle of them."""
    columns: dict[str, int] = {}
    rows: list[list[str]] = []
    for use in uses:  # in the order in which they were written down, so what is waited for comes first
        column = 1 + max((columns[source] for source in use["upstream"] if source in columns), default=-1)
        columns[use["task"]] = column
        while len(rows) <= column:
            rows.append([])
        rows[column].append(use["task"])
    upstream = {use["task"]: use["upstream"] for use in uses}
    places: Places = {}
    for column, slugs in enumerate(rows):
        order = {slug: number for number, slug in enumerate(slugs)}
        middle = {
            slug: _middle([places[each][1] for each in upstream[slug] if each in places], order[slug]) for slug in slugs
        }
        for number, slug in enumerate(sorted(slugs, key=lambda slug: (middle[slug], order[slug]))):
            places[slug] = column, number
    return places


def _middle(rows: list[int], otherwise: int) -> float:
    return sum(rows) / len(rows) if rows else otherwise


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return 1 + place[0] * (_WIDTH + _ACROSS), _EDGE + place[1] * (_HEIGHT + _DOWN)


def _edge(source: tuple[int, int], target: tuple[int, int]) -> Html:
    """Return an arrow; one over other columns goes below the row that it comes to, and not behind its boxes."""
    (left, top), (right, bottom) = _corner(source), _corner(target)
    left, top, bottom = left + _WIDTH, top + _HEIGHT // 2, bottom + _HEIGHT // 2
    way = f"M{left} {top}"
    if target[0] > source[0] + 1:
        below = bottom + (_HEIGHT + _DOWN) // 2
        way += f"{_bend(left, top, below)}H{right - _ACROSS}"
        left, top = right - _ACROSS, below
    return tag("path", class_="edge", d=way + _bend(left, top, bottom))


def _bend(left: int, top: int, bottom: int) -> str:
    """Return a curve that crosses the room between two columns."""
    middle = left + _ACROSS // 2
    return f"C{middle} {top} {middle} {bottom} {left + _ACROSS} {bottom}"


def _node(use: TaskUse, place: tuple[int, int], found: TaskSum | None) -> Html:
    x, y = _corner(place)
    state = found.state if found else ""
    name = use["task"] if len(use["task"]) <= _LETTERS else f"{use['task'][: _LETTERS - 1]}…"
    said = f"{SIGNS[kind_of(state)] if state else '○'} {name}"
    title = f"{use['task']}: {_told(found) if found else 'not run, or not known'}"
    box = tag("rect", class_=f"node {kind_of(state)}", x=0.5, y=0.5, width=_WIDTH - 1, height=_HEIGHT - 1, rx=5)
    inner = joined(tag("title", text(title, 300)), box, tag("text", text(said, 120), x=9, y=20))
    drawn = tag("svg", inner, x=x, y=y, width=_WIDTH, height=_HEIGHT)
    if not use.get("mapped"):
        return drawn
    behind = tag("rect", class_="node", x=x + 3.5, y=y - 2.5, width=_WIDTH - 4, height=_HEIGHT - 1, rx=5)
    return joined(behind, drawn)


def _told(found: TaskSum) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))


def _as_text(uses: list[TaskUse]) -> Html:
    """Return the graph as a list, for those who do not see the picture."""
    items = []
    for use in uses:
        waits = ", ".join(use["upstream"][:20]) + (" and more" if len(use["upstream"]) > 20 else "")  # noqa: PLR2004
        mapped = " (mapped)" if use.get("mapped") else ""
        items.append(tag("li", text(f"{use['task']}{mapped}" + (f" waits for {waits}" if waits else ""), 200)))
    return tag("details", tag("summary", Html("The same as a list")), tag("ul", *items))
