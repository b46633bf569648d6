"""``runner cancel``: end a run, wherever it is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from runner.agents.submit import queue_of
from runner.cli.format import as_json_option, echo_answer
from runner.cli.locations import check_end, open_run, read_settings
from runner.cli.parameters import Seconds
from runner.errors import RunHeld, RunnerError, UsageError
from runner.runs.cancelling import cancel_run
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument

_LONGEST = 500  # characters of a reason
_WITHIN = 300.0  # seconds: a heartbeat of any length that is believed


@click.command(short_help="End a run, wherever it is.")
@click.argument("run")
@click.option("--why", metavar="TEXT", help="A sentence for whoever finds it cancelled.")
@click.option("--within", type=Seconds(min=0), default=_WITHIN, metavar="SECONDS", help="How long to wait.")
@as_json_option
def cancel(run: str, why: str | None, within: float, *, as_json: bool) -> None:
    """End RUN for good: its flow, if it runs, within a heartbeat and its grace; else no start will run it any more.

    A run that is over stays as it is, and is told. RUNNER_SIGNING_KEY, if it is set, signs what this writes.
    """
    if why and len(why) > _LONGEST:
        raise UsageError(f"--why takes {_LONGEST} characters", hint="Say it shorter.")
    store = open_run(run)
    _let_sign(store)
    before = store.read_outcome()
    end = cancel_run(store, why, within=within, interval=read_settings().heartbeat)
    if end is None:
        message = f"run {store.run_id} was asked to end, and has not after {within:g} s"
        raise RunHeld(message, hint="Its flow is asked with its next heartbeat; runner show tells when it is over.")
    check_end(store, end)
    _take_out_of_queue(store)
    echo_answer(end, _told(store, end, was_over=before is not None), as_json=as_json)


def _take_out_of_queue(store: RunStore) -> None:
    """Remove what waits for an agent; where this may not be done an agent does it, when its turn comes."""
    request = store.read_request()
    queue = queue_of(store, request) if request else None
    if request and queue:
        with suppress(RunnerError):
            queue.remove_all(request["entry"])


def _told(store: RunStore, end: EndDocument, *, was_over: bool) -> str:
    if "cancel" in end and not was_over:
        return f"run {store.run_id} is cancelled"
    since = f" since {end['ended']}" if was_over else ""
    reason = f". {end['error']['message']}" if end["error"] else ""
    return f"run {store.run_id} is over{since}: {end['state']}{reason}"


def _let_sign(store: RunStore) -> None:
    """Let the run sign and believe as this environment says."""
    settings, request = read_settings(), store.read_request()
    if request:
        store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)
