"""``runner run`` and ``runner retry``: what the container does, for a flow or a run on the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from runner.bundle.fetch import fetch
from runner.bundle.trust import admit
from runner.cli.forked import in_forked_process
from runner.cli.format import as_json_option, echo_json
from runner.cli.locations import (
    check_end,
    open_location,
    open_run,
    parse_location_argument,
    place_of_bundle,
    read_settings,
)
from runner.cli.parameters import parameters_option, with_parameters
from runner.cli.redirect import stdout_to_stderr
from runner.environ import process_environ
from runner.errors import NotFound, RunHeld, RunnerError, Untrusted, UsageError
from runner.runs.status import run_status
from runner.runs.store import open_run_store
from runner.schemes import BAKED_WORD
from runner.settings import with_files_read
from runner.supervisor.supervise import SupervisedRun, supervise

if TYPE_CHECKING:
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, Reuse


@dataclass(frozen=True, slots=True)
class RunAgain:
    """An earlier run, and the environment that asks for the same again."""

    run_id: str
    environ: dict[str, str]


@click.command(short_help="Run a flow.")
@click.argument("location", required=False)
@parameters_option
@click.option(
    "--resume", "run_to_resume", metavar="RUN", help="Go on with this run: as it was asked for, with its bundle."
)
@as_json_option
def run(location: str | None, parameters: tuple[str, ...], run_to_resume: str | None, *, as_json: bool) -> int:
    """Run the flow at LOCATION, or the one that the environment names."""
    environ = with_files_read(process_environ())
    if run_to_resume:
        if location or parameters:
            message = "--resume goes with neither a location nor parameters: the run has its own"
            raise UsageError(message, hint="Leave them out.")
        if read_settings().trusted_keys:
            message = "--resume takes what to run from the bucket, and RUNNER_TRUSTED_KEYS says to trust nothing there"
            raise UsageError(message, hint="Set RUNNER_RUN_ID, and with it the location and parameters of that run.")
        environ = in_forked_process(RunAgain, partial(_prepare_resume, environ, run_to_resume)).environ
    if location:
        parse_location_argument(location)  # what is wrong with it is told of the argument, not of the variable
        for name in ("RUNNER_LOCATION_FILE", "RUNNER_STORAGE_FILE"):  # of a file that cannot be read
            environ.pop(name, None)
        environ["RUNNER_LOCATION"] = location
        if "://" in location:
            environ.pop("RUNNER_STORAGE", None)
        else:
            environ.setdefault("RUNNER_STORAGE", "local")
    return _run(with_parameters(environ, parameters), as_json=as_json)


@click.command(short_help="Run again what failed in a run.")
@click.argument("run_to_retry", metavar="RUN")
@click.option("--from", "task", metavar="TASK", help="Run this task, and all that wait for it, again as well.")
@parameters_option
@as_json_option
def retry(run_to_retry: str, task: str | None, parameters: tuple[str, ...], *, as_json: bool) -> int:
    """Begin a new run as RUN was asked for, which takes the results that RUN has instead of running their tasks.

    With another value for a parameter, the tasks that are given it run again, and all that wait for them.
    """
    again = in_forked_process(RunAgain, partial(_prepare_retry, with_files_read(process_environ()), run_to_retry))
    environ = with_parameters(again.environ, parameters)
    return _run(environ, as_json=as_json, reuse={"run_id": again.run_id, "from": task})


def _prepare_resume(environ: dict[str, str], run: str) -> RunAgain:
    store = open_run(run)
    return RunAgain(store.run_id, _environ_of_request(environ, store) | {"RUNNER_RUN_ID": store.run_id})


def _prepare_retry(environ: dict[str, str], run: str) -> RunAgain:
    store = open_run(run)
    status = run_status(store)
    if status.is_active:
        message = f"run {store.run_id} is not over"
        raise RunHeld(message, hint="Wait for its outcome, or go on with it: runner run --resume.")
    check_end(store, status.end)
    environ = _environ_of_request(environ, store)
    if environ.get("RUNNER_RUN_ID") == store.run_id:
        del environ["RUNNER_RUN_ID"]
    return RunAgain(store.run_id, environ)


def _run(environ: dict[str, str], *, as_json: bool, reuse: Reuse | None = None) -> int:
    with stdout_to_stderr(wanted=as_json):
        finished = supervise(environ, sys.stderr if as_json else sys.stdout, reuse)
    if as_json:
        echo_json(_outcome(finished) or {"state": None, "exit_code": finished.code})
    return finished.code


def _environ_of_request(environ: dict[str, str], store: RunStore) -> dict[str, str]:
    """Return the environment that asks for the very bundle and the parameters that a run was begun with.

    The bundle is looked for beside the run first: a folder may be mounted elsewhere than it was. With trusted keys it
    is seen to be the run's, signed and in its place, before its digest is asked for. Raises NotFound and Untrusted.
    """
    storage, layout = store.storage, store.layout
    request = store.read_request()
    if request is None:
        message = f"there is no {storage.url(layout.run)}"
        raise NotFound(message, hint="runner ls lists a flow's runs.")
    variables = {name: text for name, text in environ.items() if name not in {"RUNNER_RESULTS", "RUNNER_PARAMETERS"}}
    if variables.get("RUNNER_STORAGE", "").lower() != BAKED_WORD:
        variables.pop("RUNNER_STORAGE", None)
    bundle, settings = request["bundle"], read_settings()
    if settings.bundle_sha256 not in {None, bundle["sha256"]}:
        message = f"run {store.run_id} is of the bundle {bundle['sha256']}, and {settings.bundle_sha256} is asked for"
        raise Untrusted(message, hint="Unset RUNNER_BUNDLE_SHA256, or look who changed the run.")
    place, is_beside = place_of_bundle(store, bundle, settings)
    variables |= {"RUNNER_PARAMETERS": json.dumps(request["parameters"]), "RUNNER_BUNDLE_SHA256": bundle["sha256"]}
    if not is_beside:
        variables["RUNNER_RESULTS"] = storage.url(layout.home.rpartition("/")[0]).rstrip("/")
    if settings.trusted_keys:
        _, data = fetch(open_location(place), place, settings._replace(bundle_sha256=bundle["sha256"], max_age=None))
        admit(data, place, settings)
    return variables | {"RUNNER_LOCATION": place.url}


def _outcome(finished: SupervisedRun) -> EndDocument | None:
    """Return what was stored: the run's outcome, else its last attempt's end; None if this start has stored neither."""
    if finished.place is None:
        return None
    try:
        store = open_run_store(finished.place, read_settings())
        end = run_status(store).end
        check_end(store, end)
    except RunnerError:  # why is in the log already
        return None
    return end if end and end["exit_code"] == finished.code else None
