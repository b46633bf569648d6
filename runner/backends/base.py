"""The contract that every storage keeps, and what all of them share.

What must hold, for every backend (``tests/backends/contract`` is the proof):

- **Whole or not at all.** A reader never sees half an object; a writer that fails leaves the key as it was.
- **Create** fails when the key is taken. Of any number of creates at once exactly one succeeds, and one whose
  answer was lost recognises its own object; so the bytes given to it must be unlike anybody else's
  (documents of runner carry a random token).
- **Replace** stores an object whether or not there is one, in one request.
- **Delete** leaves nothing of that key, also where there was nothing: of a request that was repeated because its
  answer was lost nobody could tell. Running deletes nothing, so it works without the right to.
- **Not found, denied, unreachable** are different errors, as are a missing object and a missing bucket.
- **Keys** are ``/``-separated, relative, in any script; see `check_key`.
- **Retries** are this module's, not an SDK's: whatever may pass is tried again, for `Storage.retry_seconds`, by all
  threads together. A backend makes one request, and says by its error whether another try may go better.
- **Patience**, where a storage was opened with it, ends every small request in time; see `open_storage`. What has no
  network between, a folder or memory, need not look at it.
- No exception of an SDK leaves this package: only those of `runner.errors`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from runner.backends.retry import Retries
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    CredentialsRefused,
    NotFound,
    RunnerError,
    TooSlow,
    Unreachable,
    WriteFailed,
)
from runner.location import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from runner.backends.credential_sources import ChosenSource

T = TypeVar("T")
CHUNK = 8 * 1024 * 1024  # bytes moved at a time, and the size of an upload's part: 10,000 parts of S3 make 80 GB
START_SECONDS = 8.0  # in which a try may begin until a run has begun: an endpoint that is down is given up within 15 s
ANSWER_SECONDS = 15.0  # that an answer may take; once one took longer, twice as long
PART_SHARE = 0.5  # of these seconds: how long a part of an upload is sent again, before all of it is
REQUEST_SHARE = 0.3  # of a storage's patience: what one request may take, so that there is time for one twice as long
RETRIES_SHARE = 0.95  # of it: when the last one must be over


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a listing: its full key, its size in bytes, and when it was stored.

    ``modified`` is in seconds since the epoch by the storage's own clock, which may differ from this machine's.
    """

    key: str
    size: int
    modified: float


class Writer:
    """Writes an object's bytes in order (see `Storage.writer`), in pieces of at most `CHUNK`.

    So a large buffer is never copied as a whole.

    Args:
        put: stores, or sends, one piece.
    """

    def __init__(self, put: Callable[[memoryview], object]) -> None:
        self._put = put

    def write(self, data: memoryview | bytes) -> None:
        """Write the next bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            self._put(view[start : start + CHUNK])


class Storage(ABC):
    """A bucket, container or folder; keys are full keys inside it.

    Args:
        scheme: of its URLs; see `runner.schemes`.
        container: the name of the bucket or container, or the folder's path.
        patience: seconds that a small request may take; see `open_storage`.
        credential_source: where the credentials that opened it come from; None if it needs none.
    """

    retry_seconds = 0.0  # in which a try may begin

    def __init__(
        self,
        scheme: str,
        container: str,
        *,
        patience: float | None = None,
        credential_source: ChosenSource | None = None,
    ) -> None:
        self.scheme = scheme
        self.container = container
        self.patience = patience
        self.credential_source = credential_source
        self._retries = Retries()
        self._is_slow = False  # the last answer took longer than an answer should
        self._has_time = True  # for an answer that takes twice as long
        self._has_worked = self._bears_refusals = self._is_refused = False

    def bear(self, seconds: float) -> None:
        """Bear failures for so long from now on, as a run has begun: what was allowed before, and is refused, as well.

        Then the credentials are asked for anew: they may have been replaced.
        """
        self.retry_seconds, self._bears_refusals, self._has_worked = seconds, True, True

    def end_within(self, seconds: float) -> None:
        """Begin no try later than so many seconds from now."""
        self._retries.end_within(seconds)

    @property
    def answer_seconds(self) -> float:
        """Seconds that an answer may take."""
        seconds = ANSWER_SECONDS if self.patience is None else self.patience * REQUEST_SHARE
        return 2 * seconds if self._is_slow and self._has_time else seconds

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Learn from one request whether this storage needs more time for its answers."""
        began = time.monotonic()
        try:
            yield
        except TooSlow:
            self._is_slow = True
            raise
        self._is_slow = self._is_slow and time.monotonic() - began > self.answer_seconds / 2

    @property
    def endpoint(self) -> str:
        """Where it answers, as a URL; empty for a folder, which has no such place."""
        return ""

    def url(self, key: str) -> str:
        """Return the URL of a key, as a person would write it."""
        return f"{self.scheme}://{self.container}/{key}"

    def read(self, key: str) -> bytes:
        """Return a whole object.

        Raises NotFound, BucketMissing, Denied, CredentialsRefused, Unreachable, TooSlow or ReadFailed.
        """
        if self.patience is None:
            return b"".join(self.stream(key))
        check_key(key)
        return self._retry_small(lambda: self._read(key))

    def _read(self, key: str) -> bytes:
        return b"".join(self._stream(key, 0, None))

    def _retry_small(self, action: Callable[[], T], requests: int = 1) -> T:
        """Retry what moves few bytes; ``requests`` is how many requests the action makes.

        Where there is a time budget, all is over within it.
        """
        if self.patience is None:
            return self.persistently(action)
        self._has_time = requests == 1
        return self._retry(action, self.patience * (RETRIES_SHARE - 2 * REQUEST_SHARE), one_more=False)

    def persistently(self, action: Callable[[], T]) -> T:
        """Retry several requests as one, as long as failures are borne here; only what may pass is tried again."""
        return self._retry(action, self.retry_seconds)

    def _retry(self, action: Callable[[], T], seconds: float, *, one_more: bool = True) -> T:
        """See `Retries.persistently`; the last error's message says how often and how long."""
        tries, began = 0, time.monotonic()

        def attempt() -> T:
            nonlocal tries
            tries += 1
            if self._is_refused:
                self._is_refused = False
                with suppress(RunnerError):
                    self._renew_credentials()
            try:
                answer = action()
            except CredentialsRefused:
                self._is_refused = self._has_worked
                raise
            self._has_worked = True
            return answer

        try:
            return self._retries.persistently(attempt, seconds, self._may_pass, one_more=one_more)
        except RunnerError as error:
            if tries == 1:
                raise
            message = f"{error.message} ({tries} tries in {time.monotonic() - began:.1f} s)"
            raise error.with_message(message) from error.__cause__

    def _may_pass(self, error: RunnerError) -> bool:
        return error.transient or (self._bears_refusals and isinstance(error, CredentialsRefused))

    def _renew_credentials(self) -> None:  # noqa: B027 - a folder needs none
        """Ask for credentials anew, as those that had worked are refused."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield an object's bytes from an offset on, about `CHUNK` at a time; an answer that breaks off is resumed.

        Raises what `read` does.
        """
        check_key(key)
        return self._resumed_stream(key, offset, length)

    def _resumed_stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        received, answer = 0, None

        def next_chunk() -> bytes:
            nonlocal answer
            answer = answer or self._stream(key, offset + received, None if length is None else length - received)
            try:
                return next(answer, b"")
            except RunnerError:
                answer = None
                raise

        while chunk := self.persistently(next_chunk):
            received += len(chunk)
            yield chunk

    @abstractmethod
    def _stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        """See `Storage.stream`; yields nothing for an object that has no byte at the offset."""

    def create(self, key: str, data: bytes) -> None:
        """Store an object if there is none of that key yet.

        Raises AlreadyExists when another's object is there, WriteFailed and what `read` raises. Whatever the backend
        answers but success, the object is read back and compared: the server may have stored it and lost the answer.
        If it is not there and the failure may pass, it is tried again, within the time that other requests have.
        """
        check_key(key)

        def attempt() -> None:
            try:
                self._create(key, data)
            except (Unreachable, CredentialsRefused):
                raise  # nothing was stored, and asking once more would only double the wait
            except RunnerError as refusal:
                if not self._is_ours(key, data, refusal):
                    raise

        self._retry_small(attempt, requests=2)

    def _is_ours(self, key: str, data: bytes, refusal: RunnerError) -> bool:
        try:
            return self._read(key) == data
        except (NotFound, CredentialsRefused):
            return False  # not stored, or nobody here may know more
        except RunnerError as error:
            if isinstance(refusal, AlreadyExists):
                raise error from refusal  # whose it is was not found out, so nothing is concluded
            return False

    @abstractmethod
    def _create(self, key: str, data: bytes) -> None:
        """Send a create to the backend; an answer that was lost may be reported as AlreadyExists."""

    def replace(self, key: str, data: bytes) -> None:
        """Store an object whether or not there is one, in one request. Raises what `create` does but AlreadyExists.

        For keys that have one writer only: of several at once, any may be the last.
        """
        check_key(key)
        self._retry_small(lambda: self._replace(key, data))

    @abstractmethod
    def _replace(self, key: str, data: bytes) -> None:
        """See `Storage.replace`."""

    @contextmanager
    def writer(self, key: str) -> Iterator[Writer]:
        """Store an object from a stream: it is there, whole, when the block ends, and not at all if the block raises.

        For keys that have one writer only: an object that is there already is replaced. Raises what `create` does.
        """
        check_key(key)
        try:
            with self._writer(key) as writer:
                yield writer
        except BucketMissing:
            raise
        except NotFound as error:  # an upload that is gone, of which nothing is left: it can be begun anew
            message = f"the upload to {self.url(key)} is gone: {error.message}"
            raise WriteFailed(message, hint=error.hint) from error

    @abstractmethod
    def _writer(self, key: str) -> AbstractContextManager[Writer]:
        """See `Storage.writer`."""

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error.

        Raises WriteFailed and what `read` raises, but NotFound only as BucketMissing.
        """
        check_key(key)
        self.persistently(lambda: self._delete(key))

    @abstractmethod
    def _delete(self, key: str) -> None:
        """See `Storage.delete`."""

    def list_recursive(self, prefix: str = "") -> Iterator[Entry]:
        """Yield every object whose key begins with the prefix (empty, or a folder's name and a slash), in any order."""
        _check_prefix(prefix)
        return self._resumed_listing(prefix)

    def _resumed_listing(self, prefix: str) -> Iterator[Entry]:
        seen, answer = set[str](), None

        def next_entry() -> Entry | None:
            nonlocal answer
            answer = answer or self._list_recursive(prefix)
            try:
                return next((entry for entry in answer if entry.key not in seen), None)
            except RunnerError:
                answer = None
                raise

        while entry := self._retry_small(next_entry):
            seen.add(entry.key)
            yield entry

    @abstractmethod
    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        """See `Storage.list_recursive`."""

    def list_folder(self, prefix: str = "") -> tuple[list[str], list[Entry]]:
        """Return the names of the folders and the objects directly under a prefix (empty, or ending in a slash).

        Folder names come without slashes and sorted, entries sorted by key. The empty objects named ``etl/`` that
        consoles leave for a folder are none.
        """
        _check_prefix(prefix)
        # two requests: empty objects are asked for one by one
        return self._retry_small(lambda: self._list_folder(prefix), requests=2)

    @abstractmethod
    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        """See `Storage.list_folder`."""

    def sweep(self, prefix: str) -> None:
        """Remove what writers that died left below a prefix (a folder's name and a slash).

        Nobody may write there meanwhile. Where nothing can be left, as in a bucket, no request is made; what may not
        be removed stays.
        """
        _check_prefix(prefix)
        self._sweep(prefix)

    def _sweep(self, _prefix: str) -> None:  # noqa: B027 - a bucket has nothing to sweep
        """See `Storage.sweep`."""


def _check_prefix(prefix: str) -> None:
    if prefix:
        check_key(prefix.removesuffix("/"))
