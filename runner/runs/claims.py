"""Attempts at a run: which one may work.

All rests on one primitive, create and fail if it exists; see section "Where things lie" of ``docs/formats.md``.
"""

from __future__ import annotations

import os
import time
from json import dumps
from typing import TYPE_CHECKING

from runner import logs, naming
from runner.errors import AlreadyExists, EnvironmentWrong, NotFound, RunHeld, Untrusted
from runner.model.verdict import Verdict
from runner.process import host_name
from runner.runs.documents import FORMAT, concludes, requester
from runner.runs.ends import Concluded, commit_end, end_document
from runner.runs.layout import Claim
from runner.version import PYTHON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from runner.runs.ends import RunFacts
    from runner.runs.store import RunStore
    from runner.schema.documents import BundleReference, ClaimDocument, Reuse, RunRequest

MISSED_HEARTBEATS = 3  # of its own that an attempt must miss before another one may take it for dead
LOOK_SECONDS = 2.0  # between two looks at another's heartbeat, at the most
LONGEST_HEARTBEAT = 300.0  # seconds between two that another's claim is believed, unless this start has longer ones
log = logs.logger("claims")


def new_request(
    run_id: str,
    *,
    bundle: BundleReference,
    parameters: dict[str, Any],
    executor: str,
    reuse: Reuse | None,
    labels: list[str],
    image: str | None,
) -> RunRequest:
    """Return the ``run.json`` of a run."""
    return {
        "format": FORMAT,
        "token": naming.new_token(),
        "run_id": run_id,
        "bundle": bundle,
        "parameters": parameters,
        "executor": executor,
        "reuse": reuse,
        "labels": labels,
        "image": image,
        "requested": naming.now(),
        "by": requester(),
    }


def begin_run(store: RunStore, request: RunRequest) -> RunRequest | None:
    """Write down what was asked for, or find that just this was asked for before.

    Returns what lies there now, or None where the storage has refused to store over it. Raises EnvironmentWrong when
    the run id stands for another bundle or other parameters; where only signed documents are believed, Untrusted, and
    also for another executor or for results that another run is to give.
    """
    known = store.known_request
    if known is None:
        try:
            store.create_request(request)
        except AlreadyExists:
            pass
        else:
            return request
    check_same(store, request)
    return known


def find_request(store: RunStore, request: RunRequest) -> RunRequest:
    """Return what a launched run was begun with: whoever launched it has written that down before.

    Raises NotFound where it lies there no more, as the run was removed since: it is not run a second time by a start
    that comes late. Else raises as `begin_run`.
    """
    known = store.read_request()
    if known is None:
        message = f"run {store.run_id!r} was launched, and is there no more: {store.url}"
        raise NotFound(message, hint="It was removed; to run it again, launch it again.")
    check_same(store, request)
    return known


def check_same(store: RunStore, request: RunRequest) -> None:
    """Refuse to go on with a run that was begun with something else. Raises as `begin_run`."""
    if different := _difference(store.read_request() or {}, request, strictly=store.demands_signatures):
        message = f"run {store.run_id!r} was begun with {different}"
        kind = Untrusted if store.demands_signatures else EnvironmentWrong
        raise kind(message, hint="Give another RUNNER_RUN_ID, or ask for the same.")


def prove_exclusive(store: RunStore, there: RunRequest) -> None:
    """Prove by the ``run.json`` that is there that the storage refuses a second create, on which every claim rests.

    If it was stored again, the answer to the first create may have been a lie: then the next one is refused. Raises
    EnvironmentWrong.
    """
    if not any(store.refuses_second_request(there) for _ in range(2)):
        message = f"{store.storage.url('')} stores an object a second time that was to be created only if there is none"
        hint = "Use a storage that knows conditional writes (S3: If-None-Match), and no proxy that drops their headers."
        raise EnvironmentWrong(f"{message}: two starts could both hold this run", hint=hint)


def _difference(before: Mapping[str, Any], request: Mapping[str, Any], *, strictly: bool) -> str:
    """Return what a run was begun with and is not asked for now; empty if there is nothing.

    What it is stays unsaid: who may choose a run id need not be one who may read that run.
    """
    if before.get("bundle", {}).get("sha256") != request["bundle"]["sha256"]:
        return "another bundle"
    if not same_json(before.get("parameters"), request["parameters"]):
        return "other parameters"
    different = (name for name in ("executor", "reuse") if not same_json(before.get(name), request[name]))
    return f"another {name}" if strictly and (name := next(different, "")) else ""


def same_json(value: object, other: object) -> bool:
    """Return whether two values are one in JSON; to Python, true and 1 are equal."""
    return dumps(value, sort_keys=True) == dumps(other, sort_keys=True)


def claim_run(
    store: RunStore,
    announce: Callable[[Claim | None], None],
    facts: RunFacts,
    *,
    fresh: bool,
    interval: float,
    image: str | None = None,
    launch: int | None = None,
) -> Claim | Concluded:
    """Claim the next attempt, or find the run over; a fresh run id needs no look.

    Args:
        store: the run.
        announce: given every claim before it is made, so that whoever survives this process can end it, and None when
            the claim turns out to be another's.
        facts: for the end that is written for an attempt whose heartbeat has stopped.
        fresh: nobody else can know the run id.
        interval: seconds between two heartbeats.
        image: this container's, if it is known.
        launch: the number of the launch that started this process, if one did.

    Raises RunHeld when an attempt lives, naming who holds it, and Untrusted.
    """
    if not fresh and (outcome := store.read_outcome()):
        return Concluded(outcome)
    attempt = 1
    while True:
        while not fresh and (end := store.read_end(attempt)):
            if concludes(end):
                store.create_outcome(end)
                return Concluded(end)
            attempt += 1
        claim = Claim(attempt, naming.now(), naming.new_token())
        announce(claim)
        try:
            store.create_claim(_claim_document(store.run_id, claim, interval, image, launch))
        except AlreadyExists:
            announce(None)
            if fresh:
                raise _run_held(store.run_id, store.read_claim(attempt) or {}) from None
            _wait_for_takeover(store, attempt, facts, interval)
        else:
            return claim


def _claim_document(run_id: str, claim: Claim, interval: float, image: str | None, launch: int | None) -> ClaimDocument:
    document: ClaimDocument = {
        "format": FORMAT,
        "token": claim.token,
        "run_id": run_id,
        "attempt": claim.attempt,
        "host": host_name(),
        "pid": os.getpid(),
        "image": image,
        "python": PYTHON,
        "started": claim.started,
        "beat": interval,
    }
    if launch is not None:
        document["launch"] = launch
    return document


def _wait_for_takeover(store: RunStore, attempt: int, facts: RunFacts, own: float) -> None:
    """Wait until an attempt has ended; if its heartbeat stops for `MISSED_HEARTBEATS` intervals, declare it lost.

    Only what changes between two looks counts, measured by the clock of this process; the claim is the first heartbeat.
    If this process was stopped for a while itself, perhaps with the whole machine, that was no silence. Nobody signs a
    claim, so its interval is taken within bounds; ``own`` is that of this start. Raises RunHeld, and Untrusted.
    """
    holder = store.read_claim(attempt)
    interval = holder["beat"] if holder else None
    if holder is None or interval is None:  # of a version that has no heartbeats
        raise _run_held(store.run_id, holder or {})
    interval = min(interval, max(own, LONGEST_HEARTBEAT))
    if store.demands_signatures:  # who has a key to run with may be taken for as slow as this start
        interval = max(interval, own)
    pause = min(interval / 5, LOOK_SECONDS)
    first, silence, looked = store.read_heartbeat(attempt), 0.0, time.monotonic()
    while not store.read_end(attempt):
        now = time.monotonic()
        silence, looked = silence + min(now - looked, 2 * pause), now
        if store.read_heartbeat(attempt) != first:
            raise _run_held(store.run_id, holder)
        if silence >= MISSED_HEARTBEATS * interval:
            _declare_lost(store, holder, interval, facts)
            return
        time.sleep(pause)


def _declare_lost(store: RunStore, holder: ClaimDocument, interval: float, facts: RunFacts) -> None:
    """Write the end of an attempt whose heartbeat has stopped, unless it comes back just now and writes its own."""
    silence = f"no beat for {MISSED_HEARTBEATS} times {interval:g} s"
    # a claim is signed by nobody, and this end perhaps by us
    who = "" if store.signer and store.signer.signing_key else f" on {holder['host']}, begun {holder['started']},"
    message = f"attempt {holder['attempt']}{who} is gone: {silence}"
    log.warning("%s; its end is written, and the run goes on", message)
    claim = Claim(holder["attempt"], holder["started"], holder["token"])
    verdict = Verdict("lost", 137, message, "Lost")
    try:
        commit_end(store, end_document(store.run_id, claim, facts, verdict, signer=store.signer, secret=store.secret))
    except (AlreadyExists, RunHeld):
        if store.read_end(claim.attempt) is None:  # what is in its place, a pipe say, is no object
            raise


def _run_held(run_id: str, holder: Mapping[str, Any]) -> RunHeld:
    who = f"on {holder.get('host')}, process {holder.get('pid')}"
    message = f"attempt {holder.get('attempt')} holds run {run_id!r} since {holder.get('started')} {who}"
    return RunHeld(message, hint="Wait for its end.json, or use another RUNNER_RUN_ID.")
