"""Attempts at a run: which one may work, and how each of them ended.

All rests on one primitive, create and fail if it exists; see section "Where things lie" of ``docs/formats.md``.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner import logs, naming
from runner.errors import AlreadyExists, EnvironmentWrong, NotFound, RunHeld, Untrusted
from runner.runs import documents, layout
from runner.runs.documents import create_document, read_document
from runner.runs.ends import Claim, Concluded, check_signature, conclude, end_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.backends.base import Storage
    from runner.runs.layout import RunLayout

MISSED = 3  # of its own beats an attempt must miss before another one may take it for dead
LOOK = 2.0  # seconds between two looks at another's beat, at the most
log = logs.logger("claims")


def read_request(storage: Storage, folder: RunLayout) -> dict[str, Any] | None:
    """Give what a run was begun with, its ``run.json``, or None if it was not begun."""
    return read_document(storage, folder.run)


def read_outcome(storage: Storage, folder: RunLayout) -> dict[str, Any] | None:
    """Give how a run ended, if it did."""
    return read_document(storage, folder.outcome)


def same_json(parameters: object, others: object) -> bool:
    """Whether two runs were asked for alike; to Python, true and 1 are equal."""
    return _text(parameters) == _text(others)


def begin_run(storage: Storage, folder: RunLayout, asked: dict[str, Any]) -> None:
    """Write down what was asked for, or find that just this was asked for before.

    Raises EnvironmentWrong when the run id stands for another bundle or other parameters; where only signed documents
    are believed, Untrusted, and also for another executor or for results that another run is to give.
    """
    document = {"format": documents.FORMAT, "token": naming.new_token(), "run_id": folder.run_id, **asked}
    document |= {"requested": naming.now(), "by": {"host": platform.node(), "uid": _uid()}}
    try:
        create_document(storage, folder.run, document)
    except AlreadyExists:
        before = read_document(storage, folder.run) or {}
        different = ""
        if before.get("bundle", {}).get("sha256") != asked["bundle"]["sha256"]:
            different = f"another bundle: {before.get('bundle', {}).get('url')}"
        elif not same_json(before.get("parameters"), asked["parameters"]):
            different = f"other parameters: {before.get('parameters')}"
        distrusts = folder.seal is not None and bool(folder.seal.trusted_keys)
        if distrusts and not different:
            changed = [name for name in ("executor", "reuse") if not same_json(before.get(name), asked[name])]
            different = f"another {changed[0]}: {before.get(changed[0])}" if changed else ""
        if different:
            message = f"run {folder.run_id!r} was begun with {different}"
            kind = Untrusted if distrusts else EnvironmentWrong
            raise kind(message, hint="Give another RUNNER_RUN_ID, or ask for the same.") from None


def claim_run(
    storage: Storage,
    folder: RunLayout,
    announce: Callable[[Claim | None], None],
    facts: dict[str, Any],
    *,
    fresh: bool,
    interval: float,
    image: str | None = None,
) -> Claim | Concluded:
    """Claim the next attempt, or find the run over; a fresh run id needs no look.

    ``interval`` is the time between its beats, in seconds. ``announce`` is given every claim before it is made, so that
    whoever outlives this process can end it, and None when the claim turns out to be another's. Where an attempt has
    not ended it is watched: for one whose heart has stopped an end is written, with the ``facts`` (``flow`` and
    ``bundle``). Raises RunHeld when it lives, saying who holds it.
    """
    if not fresh and (outcome := read_document(storage, folder.outcome)):
        check_signature(storage, folder, folder.outcome, outcome)
        return Concluded(outcome)
    attempt = 1
    while True:
        while not fresh and (end := read_document(storage, folder.end(attempt))):
            if end["state"] in layout.TERMINAL_STATES:
                check_signature(storage, folder, folder.end(attempt), end)
                conclude(storage, folder, end)
                return Concluded(end)
            attempt += 1
        claim = Claim(folder, attempt, naming.now(), naming.new_token())
        announce(claim)
        try:
            create_document(storage, folder.claim(attempt), _claim_document(claim, interval, image))
        except AlreadyExists:
            announce(None)
            if fresh:
                raise _run_held(folder, read_document(storage, folder.claim(attempt)) or {}) from None
            _wait_for_takeover(storage, folder, attempt, facts)
        else:
            return claim


def _claim_document(claim: Claim, interval: float, image: str | None) -> dict[str, Any]:
    return {
        "format": documents.FORMAT,
        "token": claim.token,
        "run_id": claim.folder.run_id,
        "attempt": claim.attempt,
        "host": platform.node(),
        "pid": os.getpid(),
        "image": image,
        "python": platform.python_version(),
        "started": claim.started,
        "beat": interval,
    }


def _wait_for_takeover(storage: Storage, folder: RunLayout, attempt: int, facts: dict[str, Any]) -> None:
    """Watch an attempt until it has an end, its own or the one written here when its heart has stopped.

    Only what changes between two looks counts, measured by the clock of this process; the claim is the first beat. If
    this process was stopped for a while itself, perhaps with the whole machine, that was no silence. Raises RunHeld.
    """
    holder = read_document(storage, folder.claim(attempt)) or {}
    interval = holder.get("beat")
    if interval is None:  # of a version that has no beats
        raise _run_held(folder, holder)
    pause = min(interval / 5, LOOK)
    first, silence, looked = _read_heartbeat(storage, folder, attempt), 0.0, time.monotonic()
    while not read_document(storage, folder.end(attempt)):
        now = time.monotonic()
        silence, looked = silence + min(now - looked, 2 * pause), now
        if _read_heartbeat(storage, folder, attempt) != first:
            raise _run_held(folder, holder)
        if silence >= MISSED * interval:
            _declare_lost(storage, folder, attempt, holder, facts)
            return
        time.sleep(pause)


def _read_heartbeat(storage: Storage, folder: RunLayout, attempt: int) -> bytes | None:
    try:
        return storage.read(folder.beat(attempt))
    except NotFound:
        return None


def _declare_lost(
    storage: Storage, folder: RunLayout, attempt: int, holder: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Write the end of an attempt whose heart has stopped, unless it comes back just now and writes its own."""
    silence = f"no beat for {MISSED} times {holder['beat']:g} s"
    message = f"attempt {attempt} on {holder.get('host')}, begun {holder.get('started')}, is gone: {silence}"
    end = {**facts, "state": "lost", "exit_code": 137, "error": {"type": "Lost", "message": message}, "tasks": []}
    log.warning("%s; its end is written, and the run goes on", message)
    with suppress(AlreadyExists, RunHeld):
        end_attempt(storage, Claim(folder, attempt, str(holder["started"]), str(holder["token"])), end)


def write_heartbeat(storage: Storage, claim: Claim, number: int) -> None:
    """Show that an attempt lives; the number differs from beat to beat."""
    document = {"format": documents.FORMAT, "token": claim.token, "beat": number, "time": naming.now()}
    storage.replace(claim.folder.beat(claim.attempt), documents.encode(document))


def write_log_part(storage: Storage, claim: Claim, part: int, lines: bytes) -> None:
    """Store a part of an attempt's log, counted from 1."""
    storage.create(claim.folder.log(claim.attempt, part), lines)


def _run_held(folder: RunLayout, holder: dict[str, Any]) -> RunHeld:
    who = f"on {holder.get('host')}, process {holder.get('pid')}"
    message = f"attempt {holder.get('attempt')} holds run {folder.run_id!r} since {holder.get('started')} {who}"
    return RunHeld(message, hint="Wait for its end.json, or use another RUNNER_RUN_ID.")


def _text(parameters: object) -> str:
    return json.dumps(parameters, sort_keys=True)


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None
