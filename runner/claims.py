"""Attempts at a run: which one may work, and how each of them ended.

All rests on one primitive, create and fail if it exists; see section "Where things lie" of ``docs/formats.md``.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner import records
from runner.errors import AlreadyExists, BundleCorrupt, Denied, EnvironmentWrong, NotFound, RunHeld, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.records import RunFolder
    from runner.storage.base import Storage


@dataclass(frozen=True)
class Claim:
    """The right to work on a run as one of its attempts, counted from 1; the token tells it from another's."""

    folder: RunFolder
    attempt: int
    started: str
    token: str


@dataclass(frozen=True)
class Concluded:
    """A run that is over: its outcome."""

    outcome: dict[str, Any]


def begun_with(storage: Storage, folder: RunFolder) -> str | None:
    """Give the URL of the bundle that a run was begun with, or None if it was not begun."""
    before = _read(storage, folder.run)
    return None if before is None else str(before["bundle"]["url"])


def begin_run(storage: Storage, folder: RunFolder, asked: dict[str, Any]) -> None:
    """Write down what was asked for, or find that just this was asked for before.

    Raises EnvironmentWrong when the run id stands for another bundle or other parameters.
    """
    document = {"format": records.FORMAT, "token": records.token(), "run_id": folder.run_id, **asked}
    document |= {"requested": records.now(), "by": {"host": platform.node(), "uid": _uid()}}
    try:
        _create(storage, folder.run, document)
    except AlreadyExists:
        before = _read(storage, folder.run) or {}
        different = ""
        if before.get("bundle", {}).get("sha256") != asked["bundle"]["sha256"]:
            different = f"another bundle: {before.get('bundle', {}).get('url')}"
        elif _text(before.get("parameters")) != _text(asked["parameters"]):
            different = f"other parameters: {before.get('parameters')}"
        if different:
            message = f"run {folder.run_id!r} was begun with {different}"
            raise EnvironmentWrong(message, hint="Give another RUNNER_RUN_ID, or ask for the same.") from None


def claim_run(
    storage: Storage,
    folder: RunFolder,
    announce: Callable[[Claim | None], None],
    *,
    fresh: bool,
    image: str | None = None,
) -> Claim | Concluded:
    """Claim the next attempt, or find the run over; a fresh run id needs no look.

    ``announce`` is given every claim before it is made, so that whoever outlives this process can end it, and None
    when the claim turns out to be another's. Raises RunHeld when an attempt has not ended, saying who holds it.
    """
    if not fresh and (outcome := _read(storage, folder.outcome)):
        return Concluded(outcome)
    attempt = 1
    while True:
        while not fresh and (end := _read(storage, folder.end(attempt))):
            if end["state"] in records.CONCLUDING:
                conclude(storage, folder, end)
                return Concluded(end)
            attempt += 1
        claim = Claim(folder, attempt, records.now(), records.token())
        announce(claim)
        try:
            _create(storage, folder.claim(attempt), _document(claim, image))
        except AlreadyExists:
            announce(None)
            if fresh or _read(storage, folder.end(attempt)) is None:
                raise _held(storage, folder, attempt) from None
        else:
            return claim


def _document(claim: Claim, image: str | None) -> dict[str, Any]:
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
        "beat": None,  # seconds between beats; this version has none, so nobody may take its silence for death
    }


def end_attempt(storage: Storage, claim: Claim, end: dict[str, Any]) -> dict[str, Any]:
    """Commit how an attempt ended, and the run's outcome with it if that concludes the run; gives what was committed.

    ``end`` has ``state``, ``exit_code``, ``error``, ``flow``, ``bundle`` and ``tasks``.
    """
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
    _create(storage, claim.folder.end(claim.attempt), document)
    if document["state"] in records.CONCLUDING:
        conclude(storage, claim.folder, document)
    return document


def settle_attempt(storage: Storage, claim: Claim, end: dict[str, Any]) -> dict[str, Any] | None:
    """End an attempt whose process is gone, and give the end that stands: this one, or what it committed itself.

    None if the attempt was never its own: it was announced, and the process died, or failed, before it was made.
    """
    held = _read(storage, claim.folder.claim(claim.attempt))
    if held is None or held["token"] != claim.token:
        return None
    try:
        return end_attempt(storage, claim, end)
    except AlreadyExists:
        stands = _read(storage, claim.folder.end(claim.attempt))
        if stands and stands["state"] in records.CONCLUDING:
            conclude(storage, claim.folder, stands)
        return stands


def conclude(storage: Storage, folder: RunFolder, end: dict[str, Any]) -> None:
    """Make an end the run's outcome: a copy of it, so that whoever finds it missing writes the same bytes."""
    _create(storage, folder.outcome, end)


def _held(storage: Storage, folder: RunFolder, attempt: int) -> RunHeld:
    holder = _read(storage, folder.claim(attempt)) or {}
    message = f"attempt {attempt} holds run {folder.run_id!r} since {holder.get('started')} on {holder.get('host')}"
    return RunHeld(message, hint="Wait for its end.json, or use another RUNNER_RUN_ID.")


def _create(storage: Storage, key: str, document: dict[str, Any]) -> None:
    try:
        storage.create(key, records.encode(document))
    except Denied as error:
        raise WriteFailed(f"the run cannot be written down: {error.message}", hint=error.hint) from error


def _read(storage: Storage, key: str) -> dict[str, Any] | None:
    try:
        data = storage.read(key)
    except NotFound:
        return None
    try:
        return records.decode(data)
    except ValueError as error:
        message = f"{storage.url(key)} cannot be read: {error}"
        raise BundleCorrupt(message, hint="Use another run id, or a newer version of runner.") from error


def _text(parameters: object) -> str:
    return json.dumps(parameters, sort_keys=True)  # to Python, true and 1 are equal


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


@dataclass(frozen=True)
class Standing:
    """How a run stands: its state, its outcome or its last attempt's end, and the last attempt's claim."""

    state: str
    document: dict[str, Any] | None
    claim: dict[str, Any] | None


def latest(storage: Storage, folder: RunFolder) -> Standing:
    """Tell how a run stands. Raises NotFound when nothing was ever written of it."""
    if outcome := _read(storage, folder.outcome):
        return Standing(outcome["state"], outcome, None)
    names, _ = storage.folder(f"{folder.prefix}/attempts/")
    attempts = [int(name) for name in names if name.isdecimal()]  # anything may lie there besides
    if not attempts:
        if _read(storage, folder.run) is None:
            message = f"there is no run {storage.url(folder.prefix)}"
            raise NotFound(message)
        return Standing("asked for", None, None)
    number = max(attempts)
    end = _read(storage, folder.end(number))
    return Standing(end["state"] if end else "running", end, _read(storage, folder.claim(number)))
