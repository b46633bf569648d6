"""``runner check``: load a flow as a run would, without running it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import click

from runner.bundle.fetch import fetch
from runner.bundle.load import load
from runner.bundle.trust import admit
from runner.cli.format import echo_answer
from runner.cli.locations import bundle_location, open_location, settings
from runner.cli.redirect import stdout_to_stderr
from runner.errors import UsageError


@click.command(short_help="Load a flow as a run would, without running it.")
@click.argument("location", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; all else goes to stderr.")
def check(location: str | None, *, as_json: bool) -> None:
    """Fetch, verify and load the flow at LOCATION, or the one that the environment names, and run nothing.

    Loading runs the code of the author's modules. If it fails, it does so with the exit code that a run would have.
    """
    target, read = bundle_location(location) if location else (settings().location, settings())
    if target is None:
        message = "nothing says which flow to check"
        raise UsageError(message, hint="Give its location, or set RUNNER_STORAGE and RUNNER_LOCATION.")
    storage = open_location(target)
    key, data = fetch(storage, target, read)
    folders: list[str] = []
    try:
        with stdout_to_stderr(wanted=as_json):
            flow = load(admit(data, replace(target, key=key, alias=""), read), read, folders.append).flow
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    facts = {"location": storage.url(key), "flow": flow.name, "tasks": len(flow.nodes)}
    echo_answer(facts, f"flow {flow.name!r} can be run here: {facts['location']}", as_json=as_json)
