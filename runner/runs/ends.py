"""How an attempt ends, and the run with it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner import naming
from runner.backends.retry import persistently
from runner.errors import AlreadyExists, RunHeld
from runner.runs import documents, layout
from runner.runs.documents import create_document, read_document
from runner.runs.layout import RunLayout
from runner.runs.stored_results import describe_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.backends.base import Storage
    from runner.signing.run_signatures import RunSigner


@dataclass(frozen=True)
class Claim:
    """The right to work on a run as one of its attempts, counted from 1; the token tells it from another's."""

    folder: RunLayout
    attempt: int
    started: str
    token: str


def claim_of(run: dict[str, Any], claim: dict[str, Any], seal: RunSigner | None = None) -> Claim:
    """Make a claim of what was told of it and of the folder of its run."""
    return Claim(RunLayout(run["home"], run["run_id"], seal), claim["attempt"], claim["started"], claim["token"])


@dataclass(frozen=True)
class Concluded:
    """A run that is over: its outcome."""

    outcome: dict[str, Any]


def check_signature(storage: Storage, folder: RunLayout, key: str, end: dict[str, Any]) -> None:
    """Refuse an end that this run must not be concluded by. Raises Untrusted."""
    if folder.seal:
        folder.seal.check(folder.run_id, end, storage.url(key))


def lost_end(storage: Storage, claim: Claim) -> dict[str, Any] | None:
    """Give the end that another attempt wrote for this one, if it did."""
    end = read_document(storage, claim.folder.end(claim.attempt))
    return end if end and end["state"] == "lost" else None


def run_held_elsewhere(end: dict[str, Any]) -> RunHeld:
    """Make the error of an attempt that finds the end which another one wrote for it."""
    return RunHeld(f"the run goes on elsewhere: {end['error']['message']}")


def end_attempt(
    storage: Storage,
    claim: Claim,
    end: dict[str, Any],
    *,
    patience: float = 0.0,
    announce: Callable[[str], None] = lambda _token: None,
) -> dict[str, Any]:
    """Commit how an attempt ended, and the run's outcome with it if that concludes the run; gives what was committed.

    ``announce`` is given the document's token before it is stored, so that whoever outlives this process knows it.
    ``end`` has ``state``, ``exit_code``, ``error``, ``flow``, ``bundle`` and ``tasks``, perhaps ``death``. Storage that
    fails for a while is asked again for ``patience`` seconds. Raises RunHeld when the attempt was given up by another.
    """
    document = end_document(claim, end)
    announce(document["token"])
    try:
        persistently(lambda: create_document(storage, claim.folder.end(claim.attempt), document), patience)
    except AlreadyExists:
        if end := lost_end(storage, claim) or {}:
            raise run_held_elsewhere(end) from None
        raise
    if document["state"] in layout.TERMINAL_STATES:
        persistently(lambda: conclude(storage, claim.folder, document), patience)
    return document


def end_document(claim: Claim, end: dict[str, Any]) -> dict[str, Any]:
    """Make the document that `end_attempt` commits."""
    document = {
        "format": documents.FORMAT,
        "token": naming.new_token(),
        "run_id": claim.folder.run_id,
        "attempt": claim.attempt,
        "started": claim.started,
        "ended": naming.now(),
        "host": platform.node(),
        "python": platform.python_version(),
        **end,
    }
    return claim.folder.seal.signed(document) if claim.folder.seal else document


def finish_dead_attempt(
    storage: Storage, claim: Claim, end: dict[str, Any], token: str | None = None
) -> dict[str, Any] | None:
    """End an attempt whose process is gone, and give the end that stands: this one, or what it committed itself.

    ``token`` is that of the end which it was about to commit. None if the attempt was never its own: it was announced,
    and the process died, or failed, before it was made.
    Raises RunHeld when it was given up by another, and Untrusted.
    """
    held = read_document(storage, claim.folder.claim(claim.attempt))
    if held is None or held["token"] != claim.token:
        return None
    if end["state"] in layout.TERMINAL_STATES:
        end = {**end, "tasks": describe_results(storage, claim.folder)}
    try:
        return end_attempt(storage, claim, end)
    except AlreadyExists:
        stands = read_document(storage, claim.folder.end(claim.attempt))
        if stands and stands["token"] != token:
            check_signature(storage, claim.folder, claim.folder.end(claim.attempt), stands)
        if stands and stands["state"] in layout.TERMINAL_STATES:
            conclude(storage, claim.folder, stands)
        return stands


def conclude(storage: Storage, folder: RunLayout, end: dict[str, Any]) -> None:
    """Make an end the run's outcome: a copy of it, so that whoever finds it missing writes the same bytes."""
    create_document(storage, folder.outcome, end)
