"""Checks of a storage: it is reached, lists, creates, refuses a second create, replaces, reads and deletes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from runner.doctor.checks import Check, failed_check, run_check
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    CredentialsRefused,
    Denied,
    EnvironmentWrong,
    NotFound,
    ReadFailed,
    RunnerError,
    TooSlow,
    Unreachable,
    WriteFailed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Storage
    from runner.doctor.checks import State

ANSWER_SECONDS = 5.0  # for the endpoint's first answer
CLOCK_REFUSED_SECONDS = 15 * 60  # S3 and Azure refuse what is signed with a clock that is further off
CLOCK_NOTED_SECONDS = 60
CLOCK_EVEN_SECONDS = 2  # the header has whole seconds alone
_WRITE_CHECKS = ("create", "create again", "replace", "read", "delete")


@dataclass(frozen=True, slots=True)
class Answer:
    """An endpoint's answer to a request without credentials: after how many seconds, and how far its clock is ahead."""

    seconds: float
    ahead: float | None


@dataclass(frozen=True, slots=True)
class Probed:
    """What a run would do at a location.

    Args:
        writes: it writes its documents there.
        why: why nothing is written, where something else might be thought.
        has_flow: a flow is there, below whose ``runs/`` it writes, and perhaps nowhere else may.
        is_named: it may have a run id that others know, so that a second create must be refused.
    """

    writes: bool = True
    why: str = ""
    has_flow: bool = False
    is_named: bool = True


def probe(storage: Storage, key: str, probed: Probed) -> Iterator[Check]:
    """Yield the checks of a location: everything that a run does there, and delete.

    What is written lies below ``_doctor/``, and is deleted again. Where nothing is written, an object that does not
    exist is read, which must be reported as that.
    """
    writes = probed.writes
    about = storage.url(key)
    answer = request_endpoint(f"{storage.endpoint}/{storage.container}") if storage.endpoint else None
    listed = run_check(about, "list", lambda: _list(storage, key))
    unreached = answer is None and isinstance(listed.error, Unreachable if storage.endpoint else BucketMissing)
    if unreached and listed.error:
        yield failed_check(about, "reach", listed.error, listed.seconds)
        listed = Check(about, "list", "unknown", "not tried")
    else:
        endpoint = storage.endpoint or "a folder of this machine"
        yield Check(about, "reach", "ok", endpoint, answer.seconds if answer else None)
    yield run_check(about, "clock", lambda: check_clock(answer))
    yield listed
    error = listed.error
    refused = isinstance(error, CredentialsRefused) and not isinstance(error, Denied)
    if unreached or refused or isinstance(error, Unreachable | BucketMissing | TooSlow):
        yield from (Check(about, name, "unknown", "not tried") for name in (_WRITE_CHECKS if writes else ("read",)))
        return
    home = _runs_home(storage, key)
    if probed.has_flow and (storage.scheme != "file" or os.path.isdir(f"{storage.container}/{home}runs")):  # noqa: PTH112
        home += "runs/"
    probe_key = f"{home}_doctor/{os.urandom(8).hex()}"
    if writes:
        yield from _write_checks(storage, about, probe_key, is_named=probed.is_named)
    else:
        yield run_check(about, "read", lambda: _read_absent(storage, probe_key))
        for name in _WRITE_CHECKS if probed.why else ():
            if name != "read":
                yield Check(about, name, "unknown", probed.why)


def request_endpoint(url: str) -> Answer | None:
    """Send an endpoint a request without credentials, and return its answer, whatever it is; None without one.

    Its certificate is not checked here: the storage's own client does that, which may trust other authorities.
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Follow no redirect: it is an answer, and has a date."""

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(NoRedirect(), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the user's own endpoint
    start, wall = time.perf_counter(), time.time()
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        headers = error.headers
    except (OSError, ValueError, http.client.HTTPException):
        return None
    took = time.perf_counter() - start
    try:
        date = parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except ValueError:
        return Answer(took, None)
    return Answer(took, date + 0.5 - (wall + took / 2))  # the header leaves the fraction of its second out


def check_clock(answer: Answer | None) -> tuple[State, str]:
    """Compare this machine's clock with the storage's. Raises CredentialsRefused where the storage would refuse it."""
    if answer is None or answer.ahead is None:
        return "unknown", "nothing that answered told its time"
    off = abs(answer.ahead)
    side = "behind" if answer.ahead > 0 else "ahead of"
    amount = f"{off / 60:.0f} minutes" if off > 2 * CLOCK_NOTED_SECONDS else f"{off:.0f} s"
    difference = f"this machine's clock is {amount} {side} the storage's"
    if off > CLOCK_REFUSED_SECONDS:
        raise CredentialsRefused(
            difference, hint="Set the clock of this machine: 15 minutes off, signatures are refused."
        )
    if off > CLOCK_NOTED_SECONDS:
        return "note", difference
    return "ok", "differs by less than 2 s" if off < CLOCK_EVEN_SECONDS else difference


def _list(storage: Storage, key: str) -> str:
    folders, entries = storage.list_folder(f"{key}/" if key else "")
    return f"{len(folders)} folders and {len(entries)} objects" if folders or entries else "nothing lies below it"


def _runs_home(storage: Storage, key: str) -> str:
    """Return the folder in which runs would be written: the location's own, or that of the object it names."""
    if not key:
        return ""
    try:
        next(iter(storage.stream(key, 0, 1)), None)
    except RunnerError:
        return f"{key}/"
    return "".join(key.rpartition("/")[:2])


def _write_checks(storage: Storage, about: str, key: str, *, is_named: bool) -> list[Check]:
    """Create an object, create it again, replace it, read it, and delete it whatever happens."""
    data, others, last = (b"left by runner doctor, may be deleted: " + os.urandom(16).hex().encode() for _ in range(3))
    checks = []
    try:
        created = run_check(about, "create", lambda: _create(storage, key, data))
        checks.append(created)
        if created.state == "ok":
            checks.append(
                run_check(about, "create again", lambda: _create_again(storage, key, others, is_named=is_named))
            )
            replaced = run_check(about, "replace", lambda: _replace(storage, key, last))
            stored = {last} if replaced.state == "ok" else {data, others}
            checks += [replaced, run_check(about, "read", lambda: _read_back(storage, key, stored))]
        else:
            checks += [Check(about, name, "unknown", "not tried") for name in ("create again", "replace")]
            checks.append(run_check(about, "read", lambda: _read_absent(storage, key)))
    finally:
        deleted = run_check(about, "delete", lambda: _delete(storage, key))
    is_stored = checks[0].state == "ok"
    return [*checks, deleted if is_stored else Check(about, "delete", "unknown", "nothing was stored")]


def _create(storage: Storage, key: str, data: bytes) -> str:
    try:
        storage.create(key, data)
    except Denied as error:  # as `RunStore` has it
        message = f"no run can be written down: {error.message}"
        raise WriteFailed(message, hint=error.hint, transient=False) from error
    return f"{len(data)} bytes were stored"


def _create_again(storage: Storage, key: str, data: bytes, *, is_named: bool) -> str | tuple[State, str]:
    try:
        storage.create(key, data)
    except AlreadyExists:
        return "the second create of one key is refused"
    message = "a second create of one key was not refused, and replaced the first"
    if not is_named:
        return "note", f"{message}: with a RUNNER_RUN_ID two starts could both hold a run, and so would end with 78"
    hint = "Use a storage that knows conditional writes (S3: If-None-Match), and no proxy that drops their headers."
    raise EnvironmentWrong(f"{message}: two starts could both hold a run", hint=hint)


def _replace(storage: Storage, key: str, data: bytes) -> str:
    storage.replace(key, data)
    return "an object is written anew, as a heartbeat is"


def _read_back(storage: Storage, key: str, stored: set[bytes]) -> str:
    if storage.read(key) not in stored:
        raise ReadFailed(f"{storage.url(key)} gives other bytes than were stored", hint="Is there a proxy between?")
    return "what was stored comes back"


def _read_absent(storage: Storage, key: str) -> str:
    with suppress(NotFound):
        storage.read(key)
    return "what is not there is told as such"


def _delete(storage: Storage, key: str) -> str | tuple[State, str]:
    try:
        storage.delete(key)
    except Denied:
        return "note", f"not allowed, which no run needs; what was written stays: {storage.url(key)}"
    except RunnerError as error:
        message = f"{error.message}; what was written stays: {storage.url(key)}"
        raise error.with_message(message) from error
    if storage.scheme == "file":  # elsewhere a folder is gone with its last object
        from pathlib import Path

        with suppress(OSError):
            Path(storage.container, key).parent.rmdir()
    return "removed again"
