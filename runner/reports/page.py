"""The page about a run, as one text of HTML."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from runner.reports.attempts import timeline
from runner.reports.details import launches_section, log_section, parameters_section, versions_section
from runner.reports.gathered import time_text
from runner.reports.graph import graph_section
from runner.reports.markup import Html, joined, tag, text
from runner.reports.resources import resources_section
from runner.reports.summary import SIGNS, first_error, headline, kind_of, next_step
from runner.reports.tasks import sums_of, tasks_section
from runner.reports.tasks_over_time import tasks_over_time
from runner.version import __version__

if TYPE_CHECKING:
    from runner.reports.gathered import Gathered

LARGEST: Final = 1_000_000  # bytes of any page: each part has its own share
# Patterns by which what was waited and lost is told without colour.
_PATTERNS = Html(
    '<svg width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="waits" x1="0" y1="0" x2="0" y2="6" stroke-width="2"/></pattern>'
    '<pattern id="silent" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<line class="silents" x1="0" y1="0" x2="0" y2="4" stroke-width="2"/></pattern></defs></svg>'
)
# The icon in a browser's tab, in the state's colour, on a light ground or a dark one.
_COLOURS = {"good": "2da44e", "bad": "e5484d", "odd": "c98a12", "open": "2f81f7"}
_NAMES = {
    "error": "What happened",
    "next": "What to do next",
    "timeline": "Timeline",
    "graph": "Graph",
    "tasks": "Tasks",
    "resources": "Resources",
    "parameters": "Parameters",
    "versions": "What ran",
    "launches": "Launches",
    "log": "Log",
}


def render(facts: Gathered) -> str:
    """Return the page about a run: of the same facts always the same, and never more than 1 MB.

    It needs no other file and no network, and runs no script but its own.
    """
    style, script = (_own_file(name) for name in ("page.css", "page.js"))
    sums = sums_of(facts.tasks)
    parts = {
        "error": first_error(facts),
        "next": next_step(facts),
        "timeline": timeline(facts, tasks_over_time(facts, list(sums.values()))),
        "graph": graph_section(facts, sums),
        "tasks": tasks_section(facts, sums),
        "resources": resources_section(facts.resources),
        "parameters": parameters_section(facts),
        "versions": versions_section(facts),
        "launches": launches_section(facts),
        "log": log_section(facts.log),
    }
    links = (tag("li", tag("a", Html(title), href=f"#{name}")) for name, title in _NAMES.items() if parts[name])
    body = tag(
        "div",
        headline(facts),
        tag("nav", tag("ul", *links), aria_label="Parts of this page"),
        tag("main", *parts.values(), id="main"),
        tag("footer", text(f"Made by runner {__version__} at {time_text(facts.made)}, of {facts.url}", 1500)),
        class_="page",
    )
    skip = tag("a", Html("Skip to the contents"), class_="skip", href="#main")
    page = joined(
        Html("<!DOCTYPE html>\n"),
        tag(
            "html",
            _head(facts, _policy(style, script), tag("style", style)),
            tag("body", skip, _PATTERNS, body, tag("script", script)),
            lang="en",
        ),
    )
    return f"{page}\n"


def _own_file(name: str) -> Html:
    with open(f"{__file__.removesuffix('page.py')}{name}", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
        return Html(file.read())


def _head(facts: Gathered, policy: str, style: Html) -> Html:
    state = "given up" if facts.was_given_up else facts.status.state
    kind = "bad" if facts.was_given_up else kind_of(state)
    circle = f"<circle cx='8' cy='8' r='7' fill='%23{_COLOURS[kind]}'/>"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=Html(policy)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", text(f"{SIGNS[kind]} {state}: run {facts.run_id}", 300)),
        tag("link", rel="icon", href=f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'>{circle}</svg>"),
        style,
    )


def _policy(style: str, script: str) -> str:
    """Return what the page may do: use its own style and script, nobody else's, and its icon."""
    digests = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in (style, script))
    allowed = "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:".format(*digests)
    return f"{allowed}; base-uri 'none'; form-action 'none'"
