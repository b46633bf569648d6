"""The contract that every storage keeps, and what all of them share.

What must hold, for every backend (``tests/storage/test_contract.py`` is the proof):

- **Whole or not at all.** A reader never sees half an object; a writer that fails leaves the key as it was.
- **Create** fails when the key is taken. Of any number of creates at once exactly one succeeds, and one whose
  answer was lost recognises its own object; so the bytes given to it must be unlike anybody else's
  (documents of runner carry a random token).
- **Replace** stores an object whether or not there is one, in one request.
- **Delete** leaves nothing of that key, also where there was nothing: of a request that was repeated because its
  answer was lost nobody could tell. Running deletes nothing, so it works without the right to.
- **Not found, denied, unreachable** are different errors, as are a missing object and a missing bucket.
- **Keys** are ``/``-separated, relative, in any script; see `check_key`.
- **Patience**, where a storage was opened with it, ends every small request in time; see `open_storage`.
- No exception of an SDK leaves this package: only those of `runner.errors`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from runner.backends.retry import may_pass, persistently
from runner.errors import AlreadyExists, CredentialsRefused, NotFound, RunnerError, Unreachable
from runner.location import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from runner.backends.credential_sources import Found

T = TypeVar("T")
CHUNK = 8 * 1024 * 1024  # bytes moved at a time, and the size of an upload's part: 10,000 parts of S3 make 80 GB
SHARE = 0.3  # of a storage's patience: what one request may take, so that there is time for another one
RETRIES = 0.95  # of it: when the last one must be over


@dataclass(frozen=True, slots=True)
class Entry:
    """One object in a listing: its full key, its size in bytes, and when it was stored.

    ``modified`` is in seconds since the epoch by the storage's own clock, which may differ from this machine's.
    """

    key: str
    size: int
    modified: float


class Writer:
    """Takes an object's bytes in order (see `Storage.writer`), and hands them on in pieces of at most `CHUNK`.

    So a large buffer is never copied as a whole.
    """

    def __init__(self, put: Callable[[memoryview], object]) -> None:
        """Take what stores, or sends, one piece."""
        self._put = put

    def write(self, data: memoryview | bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            self._put(view[start : start + CHUNK])


class Storage(ABC):
    """A bucket, container or folder; keys are full keys inside it."""

    deadline = 0.0  # seconds in which one more try of a read or create may begin, where the backend leaves that to us

    def __init__(self, scheme: str, container: str, patience: float | None = None) -> None:
        """Take the URL's scheme, the name of the bucket, container or folder, and a request's patience in seconds."""
        self.scheme = scheme
        self.container = container
        self.patience = patience
        self.credential_source: Found | None = None  # what opened it; a folder needs nothing

    @property
    def endpoint(self) -> str:
        """Where it answers, as a URL; a folder has no such place."""
        return ""

    def url(self, key: str) -> str:
        """Give the URL of a key, as a person would write it."""
        return f"{self.scheme}://{self.container}/{key}"

    def read(self, key: str) -> bytes:
        """Give a whole object.

        Raises NotFound, BucketMissing, Denied, CredentialsRefused, Unreachable, TooSlow or ReadFailed.
        """
        if self.patience is None:
            return b"".join(self.stream(key))
        check_key(key)
        return self._retry_within_budget(lambda: self._read(key))

    def _read(self, key: str) -> bytes:
        return b"".join(self._stream(key, 0, None))

    def _retry_within_budget(self, action: Callable[[], T], requests: int = 1) -> T:
        """Do what takes so many requests; with patience, the backend tries each once, and the retries are made here."""
        return action() if self.patience is None else self._retry(action, self.patience * (RETRIES - SHARE * requests))

    def _retry(self, action: Callable[[], T], deadline: float, again: Callable[[RunnerError], bool] = may_pass) -> T:
        """Try until the deadline, and let the last error tell how often and how long that was."""
        tries, began = 0, time.monotonic()

        def attempt() -> T:
            nonlocal tries
            tries += 1
            return action()

        try:
            return persistently(attempt, deadline, again)
        except RunnerError as error:
            if tries > 1:
                error.message += f" ({tries} tries in {time.monotonic() - began:.1f} s)"
            raise

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Give an object's bytes from an offset on, about `CHUNK` at a time; where an answer breaks off, it goes on.

        Raises what `read` does.
        """
        check_key(key)
        return self._unbroken(key, offset, length)

    def _unbroken(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        given, answer = 0, None

        def following() -> bytes:
            nonlocal answer
            answer = answer or self._stream(key, offset + given, None if length is None else length - given)
            try:
                return next(answer, b"")
            except RunnerError:
                answer = None
                raise

        while chunk := self._retry(following, self.deadline):
            given += len(chunk)
            yield chunk

    @abstractmethod
    def _stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        """See `Storage.stream`; an object that has no byte at the offset gives nothing."""

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

        if self.patience is None:
            self._retry(attempt, self.deadline, self._may_retry_create)
        else:
            self._retry_within_budget(attempt, requests=2)

    def _is_ours(self, key: str, data: bytes, refusal: RunnerError) -> bool:
        try:
            return self._read(key) == data
        except (NotFound, CredentialsRefused):
            return False  # not stored, or nobody here may know more
        except RunnerError as error:
            if isinstance(refusal, AlreadyExists):
                raise error from refusal  # whose it is was not found out, so nothing is concluded
            return False

    def _may_retry_create(self, error: RunnerError) -> bool:
        """Tell whether a create that failed may be made again: not if the backend has done so for as long as it may."""
        return error.transient

    @abstractmethod
    def _create(self, key: str, data: bytes) -> None:
        """Ask the backend to create the object; an answer that was lost may be reported as AlreadyExists."""

    def replace(self, key: str, data: bytes) -> None:
        """Store an object whether or not there is one, in one request. Raises what `create` does but AlreadyExists.

        For keys that have one writer only: of several at once, any may be the last.
        """
        check_key(key)
        self._retry_within_budget(lambda: self._replace(key, data))

    @abstractmethod
    def _replace(self, key: str, data: bytes) -> None:
        """See `Storage.replace`."""

    @contextmanager
    def writer(self, key: str) -> Iterator[Writer]:
        """Store an object from a stream: it is there, whole, when the block ends, and not at all if the block raises.

        For keys that have one writer only: an object that is there already is replaced. Raises what `create` does.
        """
        check_key(key)
        with self._writer(key) as writer:
            yield writer

    @abstractmethod
    def _writer(self, key: str) -> AbstractContextManager[Writer]:
        """See `Storage.writer`."""

    def delete(self, key: str) -> None:
        """Remove an object; that there is none is no error.

        Raises WriteFailed and what `read` raises, but NotFound only as BucketMissing.
        """
        check_key(key)
        self._delete(key)

    @abstractmethod
    def _delete(self, key: str) -> None:
        """See `Storage.delete`."""

    def list_recursive(self, prefix: str = "") -> Iterator[Entry]:
        """Give every object whose key begins with the prefix (empty, or a folder's name and a slash), in any order."""
        _check_prefix(prefix)
        return self._list_recursive(prefix)

    @abstractmethod
    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        """See `Storage.list_recursive`."""

    def list_folder(self, prefix: str = "") -> tuple[list[str], list[Entry]]:
        """Give the names of the folders and the objects directly under a prefix (empty, or ending in a slash).

        Folder names come without slashes and sorted, entries sorted by key. The empty objects named ``etl/`` that
        consoles leave for a folder are none.
        """
        _check_prefix(prefix)
        if self.patience is None:
            return self._retry(lambda: self._list_folder(prefix), self.deadline)
        return self._retry_within_budget(
            lambda: self._list_folder(prefix), requests=2
        )  # empty objects are asked for one by one

    @abstractmethod
    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        """See `Storage.list_folder`."""

    def sweep(self, prefix: str) -> int:
        """Remove what writers that died left below a prefix (a folder's name and a slash), and give how many files.

        Nobody may write there meanwhile. Where nothing can be left, as in a bucket, nothing is asked; what may not be
        removed stays.
        """
        _check_prefix(prefix)
        return self._sweep(prefix)

    def _sweep(self, _prefix: str) -> int:
        """See `Storage.sweep`."""
        return 0


def _check_prefix(prefix: str) -> None:
    if prefix:
        check_key(prefix.removesuffix("/"))
