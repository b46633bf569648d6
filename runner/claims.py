"""Attempts at a run: which one may work, and how each of them ended.

All rests on one primitive, create and fail if it exists; see section "Where things lie" of ``docs/formats.md``.
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner import logs, records
from runner.durable import durable_tasks
from runner.errors import (
    AlreadyExists,
    BundleCorrupt,
    Denied,
    EnvironmentWrong,
    NotFound,
    RunHeld,
    Untrusted,
    WriteFailed,
)
from runner.records import RunFolder
from runner.storage.retry import persistently

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.seal import Seal
    from runner.storage.base import Storage

MISSED = 3  # of its own beats an attempt must miss before another one may take it for dead
LOOK = 2.0  # seconds between two looks at another's beat, at the most
log = logs.logger("claims")


@dataclass(frozen=True)
class Claim:
    """The right to work on a run as one of its attempts, counted from 1; the token tells it from another's."""

    folder: RunFolder
    attempt: int
    started: str
    token: str


def claim_of(run: dict[str, Any], claim: dict[str, Any], seal: Seal | None = None) -> Claim:
    """Make a claim of what was told of it and of the folder of its run."""
    return Claim(RunFolder(run["home"], run["run_id"], seal), claim["attempt"], claim["started"], claim["token"])


@dataclass(frozen=True)
class Concluded:
    """A run that is over: its outcome."""

    outcome: dict[str, Any]


def begun(storage: Storage, folder: RunFolder) -> dict[str, Any] | None:
    """Give what a run was begun with, its ``run.json``, or None if it was not begun."""
    return read_document(storage, folder.run)


def outcome(storage: Storage, folder: RunFolder) -> dict[str, Any] | None:
    """Give how a run ended, if it did."""
    return read_document(storage, folder.outcome)


def are_same(parameters: object, others: object) -> bool:
    """Whether two runs were asked for alike; to Python, true and 1 are equal."""
    return _text(parameters) == _text(others)


def begin_run(storage: Storage, folder: RunFolder, asked: dict[str, Any]) -> None:
    """Write down what was asked for, or find that just this was asked for before.

    Raises EnvironmentWrong when the run id stands for another bundle or other parameters; where only signed documents
    are believed, Untrusted, and also for another executor or for results that another run is to give.
    """
    document = {"format": records.FORMAT, "token": records.token(), "run_id": folder.run_id, **asked}
    document |= {"requested": records.now(), "by": {"host": platform.node(), "uid": _uid()}}
    try:
        _create(storage, folder.run, document)
    except AlreadyExists:
        before = read_document(storage, folder.run) or {}
        different = ""
        if before.get("bundle", {}).get("sha256") != asked["bundle"]["sha256"]:
            different = f"another bundle: {before.get('bundle', {}).get('url')}"
        elif not are_same(before.get("parameters"), asked["parameters"]):
            different = f"other parameters: {before.get('parameters')}"
        distrusts = folder.seal is not None and bool(folder.seal.trusted_keys)
        if distrusts and not different:
            changed = [name for name in ("executor", "reuse") if not are_same(before.get(name), asked[name])]
            different = f"another {changed[0]}: {before.get(changed[0])}" if changed else ""
        if different:
            message = f"run {folder.run_id!r} was begun with {different}"
            kind = Untrusted if distrusts else EnvironmentWrong
            raise kind(message, hint="Give another RUNNER_RUN_ID, or ask for the same.") from None


def claim_run(
    storage: Storage,
    folder: RunFolder,
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
        _believe(storage, folder, folder.outcome, outcome)
        return Concluded(outcome)
    attempt = 1
    while True:
        while not fresh and (end := read_document(storage, folder.end(attempt))):
            if end["state"] in records.CONCLUDING:
                _believe(storage, folder, folder.end(attempt), end)
                conclude(storage, folder, end)
                return Concluded(end)
            attempt += 1
        claim = Claim(folder, attempt, records.now(), records.token())
        announce(claim)
        try:
            _create(storage, folder.claim(attempt), _document(claim, interval, image))
        except AlreadyExists:
            announce(None)
            if fresh:
                raise _held(folder, read_document(storage, folder.claim(attempt)) or {}) from None
            _outlive(storage, folder, attempt, facts)
        else:
            return claim


def _believe(storage: Storage, folder: RunFolder, key: str, end: dict[str, Any]) -> None:
    """Refuse an end that this run must not be concluded by. Raises Untrusted."""
    if folder.seal:
        folder.seal.check(folder.run_id, end, storage.url(key))


def _document(claim: Claim, interval: float, image: str | None) -> dict[str, Any]:
    return {
        "format": records.FORMAT,
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


def _outlive(storage: Storage, folder: RunFolder, attempt: int, facts: dict[str, Any]) -> None:
    """Watch an attempt until it has an end, its own or the one written here when its heart has stopped.

    Only what changes between two looks counts, measured by the clock of this process; the claim is the first beat. If
    this process was stopped for a while itself, perhaps with the whole machine, that was no silence. Raises RunHeld.
    """
    holder = read_document(storage, folder.claim(attempt)) or {}
    interval = holder.get("beat")
    if interval is None:  # of a version that has no beats
        raise _held(folder, holder)
    pause = min(interval / 5, LOOK)
    first, silence, looked = _heard(storage, folder, attempt), 0.0, time.monotonic()
    while not read_document(storage, folder.end(attempt)):
        now = time.monotonic()
        silence, looked = silence + min(now - looked, 2 * pause), now
        if _heard(storage, folder, attempt) != first:
            raise _held(folder, holder)
        if silence >= MISSED * interval:
            _give_up(storage, folder, attempt, holder, facts)
            return
        time.sleep(pause)


def _heard(storage: Storage, folder: RunFolder, attempt: int) -> bytes | None:
    try:
        return storage.read(folder.beat(attempt))
    except NotFound:
        return None


def _give_up(storage: Storage, folder: RunFolder, attempt: int, holder: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write the end of an attempt whose heart has stopped, unless it comes back just now and writes its own."""
    silence = f"no beat for {MISSED} times {holder['beat']:g} s"
    message = f"attempt {attempt} on {holder.get('host')}, begun {holder.get('started')}, is gone: {silence}"
    end = {**facts, "state": "lost", "exit_code": 137, "error": {"type": "Lost", "message": message}, "tasks": []}
    log.warning("%s; its end is written, and the run goes on", message)
    with suppress(AlreadyExists, RunHeld):
        end_attempt(storage, Claim(folder, attempt, str(holder["started"]), str(holder["token"])), end)


def beat(storage: Storage, claim: Claim, number: int) -> None:
    """Show that an attempt lives; the number differs from beat to beat."""
    document = {"format": records.FORMAT, "token": claim.token, "beat": number, "time": records.now()}
    storage.replace(claim.folder.beat(claim.attempt), records.encode(document))


def given_up(storage: Storage, claim: Claim) -> dict[str, Any] | None:
    """Give the end that another attempt wrote for this one, if it did."""
    end = read_document(storage, claim.folder.end(claim.attempt))
    return end if end and end["state"] == "lost" else None


def gone_on(end: dict[str, Any]) -> RunHeld:
    """Make the error of an attempt that finds the end which another one wrote for it."""
    return RunHeld(f"the run goes on elsewhere: {end['error']['message']}")


def ship(storage: Storage, claim: Claim, part: int, lines: bytes) -> None:
    """Store a part of an attempt's log, counted from 1."""
    storage.create(claim.folder.log(claim.attempt, part), lines)


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
    document = described(claim, end)
    announce(document["token"])
    try:
        persistently(lambda: _create(storage, claim.folder.end(claim.attempt), document), patience)
    except AlreadyExists:
        if end := given_up(storage, claim) or {}:
            raise gone_on(end) from None
        raise
    if document["state"] in records.CONCLUDING:
        persistently(lambda: conclude(storage, claim.folder, document), patience)
    return document


def described(claim: Claim, end: dict[str, Any]) -> dict[str, Any]:
    """Make the document that `end_attempt` commits."""
    document = {
        "format": records.FORMAT,
        "token": records.token(),
        "run_id": claim.folder.run_id,
        "attempt": claim.attempt,
        "started": claim.started,
        "ended": records.now(),
        "host": platform.node(),
        "python": platform.python_version(),
        **end,
    }
    return claim.folder.seal.signed(document) if claim.folder.seal else document


def settle_attempt(
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
    if end["state"] in records.CONCLUDING:
        end = {**end, "tasks": durable_tasks(storage, claim.folder)}
    try:
        return end_attempt(storage, claim, end)
    except AlreadyExists:
        stands = read_document(storage, claim.folder.end(claim.attempt))
        if stands and stands["token"] != token:
            _believe(storage, claim.folder, claim.folder.end(claim.attempt), stands)
        if stands and stands["state"] in records.CONCLUDING:
            conclude(storage, claim.folder, stands)
        return stands


def conclude(storage: Storage, folder: RunFolder, end: dict[str, Any]) -> None:
    """Make an end the run's outcome: a copy of it, so that whoever finds it missing writes the same bytes."""
    _create(storage, folder.outcome, end)


def _held(folder: RunFolder, holder: dict[str, Any]) -> RunHeld:
    who = f"on {holder.get('host')}, process {holder.get('pid')}"
    message = f"attempt {holder.get('attempt')} holds run {folder.run_id!r} since {holder.get('started')} {who}"
    return RunHeld(message, hint="Wait for its end.json, or use another RUNNER_RUN_ID.")


def _create(storage: Storage, key: str, document: dict[str, Any]) -> None:
    try:
        storage.create(key, records.encode(document))
    except Denied as error:
        refusal = WriteFailed(f"the run cannot be written down: {error.message}", hint=error.hint)
        refusal.transient = False
        raise refusal from error


def read_document(storage: Storage, key: str) -> dict[str, Any] | None:
    """Give a document, or None if there is none. Raises BundleCorrupt and what the storage raises."""
    try:
        data = storage.read(key)
    except NotFound:
        return None
    try:
        return records.decode(data, records.kind_of(key))
    except ValueError as error:
        message = f"{storage.url(key)} cannot be read: {error}"
        raise BundleCorrupt(message, hint="Use another run id, or a newer version of runner.") from error


def _text(parameters: object) -> str:
    return json.dumps(parameters, sort_keys=True)


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None
