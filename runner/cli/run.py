"""``runner run``: what the container does, with a location on the command line."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from runner import claims
from runner.cli.places import open_place
from runner.cli.stdout import prints_aside
from runner.errors import RunnerError, UsageError
from runner.records import RunFolder
from runner.settings import process_environ, with_files_read
from runner.storage import Location
from runner.supervisor import Finished, supervise


@click.command(short_help="Run a flow.")
@click.argument("location", required=False)
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter: JSON, or text."
)
@click.option("--json", "as_json", is_flag=True, help="Print the run's outcome as JSON; all else goes to stderr.")
def run(location: str | None, parameters: tuple[str, ...], *, as_json: bool) -> int:
    """Run the flow at LOCATION, or the one that the environment names."""
    environ = with_files_read(process_environ())
    if location:
        environ["RUNNER_LOCATION"] = location
        if "://" in location:
            environ.pop("RUNNER_STORAGE", None)
        else:
            environ.setdefault("RUNNER_STORAGE", "local")
    if parameters:
        environ["RUNNER_PARAMETERS"] = json.dumps(
            _given(environ.get("RUNNER_PARAMETERS")) | dict(map(_parameter, parameters))
        )
    with prints_aside(wanted=as_json):
        finished = supervise(environ, sys.stderr if as_json else sys.stdout)
    if as_json:
        click.echo(json.dumps(_outcome(finished) or {"state": None, "exit_code": finished.code}))
    return finished.code


def _given(text: str | None) -> dict[str, Any]:
    try:
        given = json.loads(text or "{}")
    except ValueError:
        given = None
    if not isinstance(given, dict):
        message = "RUNNER_PARAMETERS is no JSON object"
        raise UsageError(message, hint="Correct or unset it.")
    return given


def _parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        message = f"parameter {text!r} has no value"
        raise UsageError(message, hint="Write -p NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _outcome(finished: Finished) -> dict[str, Any] | None:
    """Read back what was committed: the run's outcome, else its last attempt's end; None if this start has neither."""
    if (run := finished.run) is None:
        return None
    try:
        storage = open_place(Location(run["scheme"], run["container"], ""))  # type: ignore[arg-type]
        document = claims.latest(storage, RunFolder(run["home"], run["run_id"])).document
    except RunnerError:  # why is in the log already
        return None
    return document if document and document["exit_code"] == finished.code else None
