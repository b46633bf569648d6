"""``runner check``: load a flow as a run would, without running it."""

from __future__ import annotations

from dataclasses import replace

import click

from runner.bundle.fetch import fetch
from runner.bundle.load import try_loading
from runner.bundle.trust import admit
from runner.cli.format import echo_answer
from runner.cli.locations import bundle_location, open_location, read_settings
from runner.cli.parameters import parameters_option, read_options
from runner.cli.redirect import stdout_to_stderr
from runner.errors import UsageError


@click.command(short_help="Load a flow as a run would, without running it.")
@click.argument("location", required=False)
@parameters_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON; all else goes to stderr.")
def check(location: str | None, parameters: tuple[str, ...], *, as_json: bool) -> None:
    """Fetch, verify and load the flow at LOCATION, or the one that the environment names, and run nothing.

    Loading runs the code of the author's modules. If it fails, it does so with the exit code that a run would have.
    """
    settings = bundle_location(location)[1] if location else read_settings()
    target = settings.location
    if target is None:
        message = "nothing says which flow to check"
        raise UsageError(message, hint="Give its location, or set RUNNER_STORAGE and RUNNER_LOCATION.")
    if parameters:
        settings = settings._replace(parameters=(settings.parameters or {}) | read_options(parameters))
    storage = open_location(target)
    key, data = fetch(storage, target, settings)
    with stdout_to_stderr(wanted=as_json):
        flow = try_loading(admit(data, replace(target, key=key, alias=""), settings), settings)
    facts = {"location": storage.url(key), "flow": flow.name, "tasks": len(flow.nodes)}
    echo_answer(facts, f"flow {flow.name!r} can be run here: {facts['location']}", as_json=as_json)
