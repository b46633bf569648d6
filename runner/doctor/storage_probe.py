"""What a storage really does: is it reached, does it list, read and create, does it refuse a second create, delete."""

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

PATIENCE = 5.0  # seconds for the endpoint's first answer
CLOCK_REFUSED = 15 * 60  # seconds: S3 and Azure refuse what is signed with a clock that is further off
CLOCK_NOTED = 60
CLOCK_EVEN = 2  # the header tells whole seconds alone
_WRITING = ("create", "create again", "read", "delete")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered to somebody unknown: after how long, and by how many seconds its clock is ahead."""

    seconds: float
    ahead: float | None


def probe(storage: Storage, key: str, *, writes: bool) -> Iterator[Check]:
    """Try everything that a run does at a location, and delete; what is written goes below ``_doctor/`` and again.

    Where nothing is to be written, reading what is not there must be told as such.
    """
    about = storage.url(key)
    answer = ask(f"{storage.endpoint}/{storage.container}") if storage.endpoint else None
    listed = run_check(about, "list", lambda: _listed(storage, key))
    unreached = answer is None and isinstance(listed.error, Unreachable if storage.endpoint else BucketMissing)
    if unreached and listed.error:
        yield failed_check(about, "reach", listed.error, listed.seconds)
        listed = Check(about, "list", "unknown", "not tried")
    else:
        where = storage.endpoint or "a folder of this machine"
        yield Check(about, "reach", "ok", where, answer.seconds if answer else None)
    yield run_check(about, "clock", lambda: clock(answer))
    yield listed
    error = listed.error
    refused = isinstance(error, CredentialsRefused) and not isinstance(error, Denied)
    if unreached or refused or isinstance(error, Unreachable | BucketMissing | TooSlow):
        yield from (Check(about, name, "unknown", "not tried") for name in (_WRITING if writes else ("read",)))
        return
    probe_key = f"{_home(storage, key)}_doctor/{os.urandom(8).hex()}"
    if writes:
        yield from _written(storage, about, probe_key)
    else:
        yield run_check(about, "read", lambda: _absent(storage, probe_key))


def ask(url: str) -> Answer | None:
    """Ask an endpoint without credentials; any answer will do. None if there is none.

    Whether its certificate is trusted is for the storage's own client to say, which may trust others.
    """
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Follow no redirect: it is an answer, and has a date."""

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(Stay(), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the user's own endpoint
    start, wall = time.perf_counter(), time.time()
    try:
        with opener.open(request, timeout=PATIENCE) as answer:
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


def clock(answer: Answer | None) -> tuple[State, str]:
    """Compare this machine's clock with the storage's. Raises CredentialsRefused where that would refuse."""
    if answer is None or answer.ahead is None:
        return "unknown", "nothing that answered told its time"
    off = abs(answer.ahead)
    side = "behind" if answer.ahead > 0 else "ahead of"
    amount = f"{off / 60:.0f} minutes" if off > 2 * CLOCK_NOTED else f"{off:.0f} s"
    told = f"this machine's clock is {amount} {side} the storage's"
    if off > CLOCK_REFUSED:
        raise CredentialsRefused(told, hint="Set the clock of this machine: 15 minutes off, signatures are refused.")
    return ("note", told) if off > CLOCK_NOTED else ("ok", "differs by less than 2 s" if off < CLOCK_EVEN else told)


def _listed(storage: Storage, key: str) -> str:
    folders, entries = storage.list_folder(f"{key}/" if key else "")
    return f"{len(folders)} folders and {len(entries)} objects" if folders or entries else "nothing lies below it"


def _home(storage: Storage, key: str) -> str:
    """Give the folder in which runs would be written: the location's, or that which holds it if it is an object."""
    if not key:
        return ""
    try:
        next(iter(storage.stream(key, 0, 1)), None)
    except RunnerError:
        return f"{key}/"
    return "".join(key.rpartition("/")[:2])


def _written(storage: Storage, about: str, key: str) -> list[Check]:
    """Create an object, once more, read it, and remove it whatever happens."""
    data, others = (b"left by runner doctor, may be deleted: " + os.urandom(16).hex().encode() for _ in range(2))
    checks = []
    try:
        created = run_check(about, "create", lambda: _created(storage, key, data))
        checks.append(created)
        if created.state == "ok":
            checks.append(run_check(about, "create again", lambda: _refused(storage, key, others)))
            checks.append(run_check(about, "read", lambda: _read_back(storage, key, {data, others})))
        else:
            checks.append(Check(about, "create again", "unknown", "not tried"))
            checks.append(run_check(about, "read", lambda: _absent(storage, key)))
    finally:
        deleted = run_check(about, "delete", lambda: _deleted(storage, key))
    stored = checks[0].state == "ok"
    return [*checks, deleted if stored else Check(about, "delete", "unknown", "nothing was stored")]


def _created(storage: Storage, key: str, data: bytes) -> str:
    storage.create(key, data)
    return f"{len(data)} bytes were stored"


def _refused(storage: Storage, key: str, data: bytes) -> str:
    try:
        storage.create(key, data)
    except AlreadyExists:
        return "the second create of one key is refused"
    message = "a second create of one key was not refused, and replaced the first: two starts could both hold a run"
    hint = "Use a storage that knows conditional writes (S3: If-None-Match), and no proxy that drops their headers."
    raise WriteFailed(message, hint=hint)


def _read_back(storage: Storage, key: str, stored: set[bytes]) -> str:
    if storage.read(key) not in stored:
        raise ReadFailed(f"{storage.url(key)} gives other bytes than were stored", hint="Is there a proxy between?")
    return "what was stored comes back"


def _absent(storage: Storage, key: str) -> str:
    with suppress(NotFound):
        storage.read(key)
    return "what is not there is told as such"


def _deleted(storage: Storage, key: str) -> str | tuple[State, str]:
    try:
        storage.delete(key)
    except Denied:
        return "note", f"not allowed, which no run needs; what was written stays: {storage.url(key)}"
    except RunnerError as error:
        error.message += f"; what was written stays: {storage.url(key)}"
        raise
    if storage.scheme == "file":  # elsewhere a folder is gone with its last object
        from pathlib import Path

        with suppress(OSError):
            Path(storage.container, key).parent.rmdir()
    return "removed again"
