"""``runner report``: a page about a run."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import naming
from runner.cli.format import as_json_option, echo_answer
from runner.cli.locations import (
    is_of_named_flow,
    open_location,
    open_run,
    place_of_bundle,
    read_settings,
    why_untrusted,
)
from runner.cli.output import output_file
from runner.environ import process_environ
from runner.errors import BundleCorrupt, Denied, RunnerError
from runner.reports.flow_facts import read_flow
from runner.reports.gather import gather
from runner.reports.gathered import FlowFacts
from runner.reports.page import render
from runner.secrets.named import hide_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, RunRequest


@click.command(short_help="Make a page about a run.", hidden=True)
@click.argument("run")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write it to a file instead; - is standard output."
)
@as_json_option
def report(run: str, output: Path | None, *, as_json: bool) -> int:
    """Make a page about RUN, however it stands: one HTML file that opens in any browser, and needs nothing else.

    It is stored as report.html in the run's folder. Of an outcome that cannot be read the page says so, tells of the
    last attempt, and the exit code is 65.
    """
    hide_named(process_environ())
    store = open_run(run)
    facts = gather(store, naming.now(), why_untrusted=_checker(store), find_flow=partial(_flow_of, store))
    page = render(facts).encode()
    if str(output) == "-":
        sys.stdout.buffer.write(page)
        return BundleCorrupt.code if facts.unreadable else 0
    if output is not None:
        with output_file(output) as file:
            file.write(page)
        where = str(output)
    else:
        where = _stored(store, page)
    echo_answer({"report": where, "size": len(page), "state": facts.status.state}, where, as_json=as_json)
    return BundleCorrupt.code if facts.unreadable else 0


def _checker(store: RunStore) -> Callable[[EndDocument], str] | None:
    """Return what holds an end against the trusted keys; None where there are none, and everybody is believed."""
    if not read_settings(with_location=False).trusted_keys:
        return None
    return lambda end: why_untrusted(store, end)


def _flow_of(store: RunStore, request: RunRequest) -> FlowFacts:
    """Return what the run's bundle says about itself.

    It must lie beside the run, or be of the flow that the environment names: who looks asks nobody else for it.
    """
    try:
        settings = read_settings()
        place, is_beside = place_of_bundle(store, request["bundle"], settings)
        if not is_beside and not is_of_named_flow(place, settings):
            return FlowFacts(note=f"its bundle is not beside it; it is told to be {place.url}, of no flow named here")
        storage = store.storage if is_beside else open_location(place)
    except RunnerError as error:
        return FlowFacts(note=error.message)
    return read_flow(storage, place.key, request["bundle"], settings.trusted_keys)


def _stored(store: RunStore, page: bytes) -> str:
    """Store a page in the run's folder, and return its URL. Raises what the storage raises."""
    try:
        store.write_report(page)
    except Denied as error:
        message = f"the page cannot be stored beside the run: {error.message}"
        raise Denied(message, hint="Have it written to a file: -o FILE.") from error
    return store.storage.url(store.layout.report)
