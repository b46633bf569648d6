"""A run that is to end: whoever may write beside it asks for that in its ``cancel.json``.

The supervisor of an attempt that lives looks for it with every heartbeat, and stops the flow. Where none lives, whoever
asks claims the next attempt and concludes the run with it, so that no start that comes later runs anything.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runner import naming
from runner.errors import AlreadyExists, BundleCorrupt, NotFound, RunHeld, TooLarge, Untrusted
from runner.model.verdict import Verdict
from runner.runs.claims import claim_run
from runner.runs.documents import FORMAT, requester
from runner.runs.ends import Concluded, RunFacts, commit_end, end_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runs.store import RunStore
    from runner.schema.documents import CancelDocument, CancelRecord, EndDocument

_LOOK_SECONDS = 1.0


class CancelLook:
    """Looks whether somebody asks for a run to end; what may not be heard is told, and passed over."""

    def __init__(self, store: RunStore, tell: Callable[[str], None]) -> None:
        self._store, self._tell = store, tell

    def is_asked(self) -> bool:
        """Return whether somebody asks for it, and may."""
        try:
            return self._store.read_cancel() is not None
        except (BundleCorrupt, TooLarge, Untrusted) as error:
            self._tell(f"a request to end the run is not heard: {error}")
            self._tell = lambda _: None
            return False


def cancel_run(store: RunStore, why: str | None, *, within: float, interval: float) -> EndDocument | None:
    """Ask for a run to end, wait until it has, and return its outcome: also one that it has had before.

    Args:
        store: the run.
        why: a sentence for whoever finds it cancelled.
        within: seconds to wait for an attempt that lives; its flow has its grace, and finds the request with its next
            heartbeat.
        interval: seconds between two heartbeats of an attempt that nobody works on.

    Returns None when it has not ended by then. Raises NotFound when nothing was ever written of the run, Untrusted
    where runs must be signed and there is no key to sign with, and what the storage raises.
    """
    until = time.monotonic() + within
    if outcome := store.read_outcome():
        return outcome
    facts = _facts(store)
    cancel = _ask(store, why)
    while True:
        try:
            return _conclude(store, facts, cancel, interval)
        except RunHeld:  # it lives
            if time.monotonic() >= until:
                return None
            time.sleep(_LOOK_SECONDS)


def conclude_run(store: RunStore, why: str, *, interval: float) -> EndDocument:
    """Conclude a run that nobody works on, as `cancel_run` does, and return its outcome; one that lives goes on.

    The claim has ``why`` for its image, by which whoever finds it knows what this was for. Raises RunHeld when an
    attempt lives, and as `cancel_run`.
    """
    cancel: CancelRecord = {"by": requester(), "requested": naming.now(), "why": why}
    return _conclude(store, _facts(store), cancel, interval, image=why)


def _facts(store: RunStore) -> RunFacts:
    """Return what the end of a run must know. Raises as `cancel_run`."""
    if not store.believes_own:
        message = f"run {store.run_id} is believed only if it is signed, and without a key nobody would hear this"
        raise Untrusted(message, hint="Set RUNNER_SIGNING_KEY, a key with the role «runs», as where the run has it.")
    request = store.read_request()
    if request is None:
        message = f"there is no {store.storage.url(store.layout.run)}"
        raise NotFound(message, hint="runner ls lists a flow's runs.")
    return RunFacts(None, request["bundle"])


def _conclude(
    store: RunStore, facts: RunFacts, cancel: CancelRecord, interval: float, image: str | None = None
) -> EndDocument:
    """Claim the next attempt and end it as cancelled, or find the run over. Raises RunHeld when an attempt lives."""
    claim = claim_run(store, lambda _: None, facts, fresh=False, interval=interval, image=image)
    if isinstance(claim, Concluded):
        return claim.outcome
    end = end_document(store.run_id, claim, facts, Verdict.of_cancel(cancel), signer=store.signer)
    commit_end(store, end)
    return end


def _ask(store: RunStore, why: str | None) -> CancelRecord:
    """Store the request, or return the one that somebody made before."""
    cancel: CancelDocument = {
        "format": FORMAT,
        "token": naming.new_token(),
        "run_id": store.run_id,
        "requested": naming.now(),
        "by": requester(),
        "why": why,
    }
    if store.signer and (signature := store.signer.sign(cancel)):
        cancel["signature"] = signature
    try:
        store.create_cancel(cancel)
    except AlreadyExists:
        cancel = store.read_cancel() or cancel
    return {"by": cancel["by"], "requested": cancel["requested"], "why": cancel["why"]}
