"""How an attempt ends, and the run with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.errors import AlreadyExists, RunHeld, WriteFailed
from runner.process import host_name
from runner.runs.documents import FORMAT, TERMINAL_STATES, concludes, is_own, own_token
from runner.version import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.model.verdict import Verdict
    from runner.runs.layout import Claim
    from runner.runs.store import RunStore
    from runner.schema.documents import BundleReference, EndDocument, TaskRecord
    from runner.signing.run_signatures import RunSigner

ERRORS = 8 * 1024 * 1024  # characters of errors that an end has room for
SHORT = 200  # characters of an error for which there is no more room


class RunFacts(NamedTuple):
    """Which flow a run is of, by its name where it is known, and which bundle."""

    flow: str | None
    bundle: BundleReference


class Concluded(NamedTuple):
    """A run that is over: its outcome."""

    outcome: EndDocument


def end_document(
    run_id: str,
    claim: Claim,
    facts: RunFacts,
    verdict: Verdict,
    tasks: Iterable[TaskRecord] = (),
    signer: RunSigner | None = None,
    secret: bytes = b"",
) -> EndDocument:
    """Return the document that `commit_end` stores, signed if there is a key for it.

    With a ``secret`` its token proves to whoever has it that these are the bytes that were written: see `is_own`.
    """
    end: EndDocument = {
        "format": FORMAT,
        "token": "",
        "run_id": run_id,
        "attempt": claim.attempt,
        "started": claim.started,
        "ended": naming.now(),
        "host": host_name(),
        "python": PYTHON,
        "flow": facts.flow,
        "bundle": facts.bundle,
        "state": verdict.state,
        "exit_code": verdict.exit_code,
        "error": verdict.error_record,
        "tasks": _shortened(tasks),
    }
    if verdict.death is not None:
        end["death"] = verdict.death
    if verdict.cancel is not None:
        end["cancel"] = verdict.cancel
    if verdict.usage is not None:
        end["usage"] = verdict.usage
    end["token"] = own_token(end, secret) if secret else naming.new_token()
    if signer and (signature := signer.sign(end)):
        end["signature"] = signature
    return end


def _shortened(tasks: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return the tasks with as much of their errors as an end has room for: the first in full, of others the start."""
    room, shortened = ERRORS, []
    for task in tasks:
        if error := task["error"]:
            room -= len(error["message"]) + len(error["traceback"])
            if room < 0:
                task = task | {"error": error | {"message": error["message"][:SHORT], "traceback": ""}}  # noqa: PLW2901
        shortened.append(task)
    return shortened


def commit_end(store: RunStore, end: EndDocument) -> None:
    """Commit how an attempt ended, and the run's outcome with it if that concludes the run.

    Raises RunHeld when another attempt declared this one lost, AlreadyExists when it has an end already, and what the
    storage raises.
    """
    try:
        store.create_end(end)
    except AlreadyExists:
        if lost := lost_end(store, end["attempt"]):
            raise run_held_elsewhere(lost) from None
        raise
    if concludes(end):
        store.create_outcome(end)


def finish_dead_attempt(
    store: RunStore, claim: Claim, facts: RunFacts, verdict: Verdict, secret: bytes
) -> EndDocument | None:
    """End an attempt whose process is gone, and return the end that stands: this one, or what it committed itself.

    What it committed is known by the ``secret`` that it was given. None if the attempt was never its own: it was
    announced, and the process died, or failed, before it was made.

    Raises RunHeld when another attempt declared it lost, and WriteFailed when somebody else wrote its end.
    """
    held = store.read_claim(claim.attempt)
    if held is None or held["token"] != claim.token:
        return None
    tasks: Iterable[TaskRecord] = ()
    if verdict.state in TERMINAL_STATES or verdict.cancel:
        from runner.runs.stored_results import describe_results

        tasks = describe_results(store)
    end = end_document(store.run_id, claim, facts, verdict, tasks, store.signer, secret)
    try:
        commit_end(store, end)
    except AlreadyExists:
        stands = store.read_end(claim.attempt)
        if stands is None or not is_own(stands, secret):
            message = f"{store.storage.url(store.layout.end(claim.attempt))} is not what this start wrote"
            raise WriteFailed(message, hint="Look who wrote it, and take another run id.") from None
        if concludes(stands):
            store.create_outcome(stands)
        return stands
    return end


def lost_end(store: RunStore, attempt: int) -> EndDocument | None:
    """Return the end that another attempt wrote for this one, if it did."""
    end = store.read_end(attempt)
    return end if end and end["state"] == "lost" else None


def run_held_elsewhere(end: EndDocument) -> RunHeld:
    """Return the error of an attempt that finds the end which another one wrote for it."""
    message = end["error"]["message"] if end["error"] else ""
    return RunHeld(f"the run goes on elsewhere: {message}")
