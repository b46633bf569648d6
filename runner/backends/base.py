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
- **Keys** are ``/``-separated, relative, in any script; see `check_key`. Others that lie there are passed over.
- **Retries** are this module's, not an SDK's: whatever may pass is tried again, for `Storage.retry_seconds`, by all
  threads together. A backend makes one request, and says by its error whether another try may go better.
- **Patience**, where a storage was opened with it, ends every small request in time; see `open_storage`. What has no
  network between, a folder or memory, need not look at it.
- No exception of an SDK leaves this package: only those of `runner.errors`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runner.backends.background import side_by_side
from runner.backends.pieces import Writer, joined
from runner.backends.retry import Patient, absence_passed_over
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    CredentialsRefused,
    Denied,
    NotFound,
    ReadFailed,
    RunnerError,
    TooLarge,
    Unreachable,
    WriteFailed,
)
from runner.limits import LARGEST_DOCUMENT
from runner.location import check_key, check_prefix, invalid_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from runner.backends.credential_sources import ChosenSource

T = TypeVar("T")
CACHE_CONTROL = "no-store"  # of what is written anew: who stands between must not give what was there before


class Entry(NamedTuple):
    """One object in a listing: key, bytes, and when it was stored, in seconds since 1970 by the storage's own clock."""

    key: str
    size: int
    modified: float


class Storage(Patient, ABC):
    """A bucket, container or folder; keys are full keys inside it.

    Args:
        scheme: of its URLs; see `runner.schemes`.
        container: the name of the bucket or container, or the folder's path.
        patience: seconds that a small request may take; see `open_storage`.
        credential_source: where the credentials that opened it come from; None if it needs none.
    """

    batch = 1  # objects that one request removes

    def __init__(
        self,
        scheme: str,
        container: str,
        *,
        patience: float | None = None,
        credential_source: ChosenSource | None = None,
    ) -> None:
        super().__init__(patience)
        self.scheme = scheme
        self.container = container
        self.credential_source = credential_source
        self._told = set[str]()  # prefixes below which keys were passed over

    @property
    def endpoint(self) -> str:
        """Where it answers, as a URL; empty for a folder, which has no such place."""
        return ""

    def url(self, key: str) -> str:
        """Return the URL of a key, as a person would write it."""
        return f"{self.scheme}://{self.container}/{key}"

    def warn_of_writers(self) -> None:
        """Warn, once in this process, if everybody may put here what is then executed or believed."""

    def read(self, key: str, *, limit: int = LARGEST_DOCUMENT) -> bytes:
        """Return a whole object, of at most ``limit`` bytes.

        Raises NotFound, BucketMissing, Denied, CredentialsRefused, Unreachable, TooSlow or ReadFailed, and TooLarge: by
        the size that the answer tells, before its bytes are read and with no other request.
        """
        if self.patience is None:
            return joined(self.stream(key, limit=limit))
        check_key(key)
        return self._retry_small(lambda: self._read(key, limit))

    def read_or_none(self, key: str, *, limit: int = LARGEST_DOCUMENT) -> bytes | None:
        """Return a whole object, as `read` does, or None where there is none of that key."""
        with absence_passed_over():
            return self.read(key, limit=limit)
        return None

    def read_changed(self, key: str, tag: str = "", *, limit: int = LARGEST_DOCUMENT) -> tuple[bytes, str] | None:
        """Return a whole object and a tag of what it is now; None where the tag that is given is still its own.

        One request, also where nothing has changed, and then without the object. Raises what `read` raises.
        """
        check_key(key)
        found = self._retry_small(lambda: self._read_changed(key, tag, limit))
        return None if found is None or found[1] == tag else found

    def _read_changed(self, key: str, _tag: str, limit: int) -> tuple[bytes, str] | None:
        """See `Storage.read_changed`; what has the tag may be given all the same, where no request has conditions."""
        from hashlib import sha256

        return (data := self._read(key, limit)), sha256(data).hexdigest()

    def _read(self, key: str, limit: int) -> bytes:
        return joined(self._cut_off(key, self._stream(key, 0, None, limit), limit))

    def check_size(self, key: str, size: int, limit: int | None) -> None:
        """Refuse an object that is larger than its kind may be. Raises TooLarge."""
        if limit is not None and size > limit:
            message = f"{self.url(key)} has {size:,} bytes, and no more than {limit:,} are read of such an object"
            raise TooLarge(message, hint="Nothing of runner's is so large: look who wrote it.")

    def _cut_off(self, key: str, chunks: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
        """Pass on what is read, but no more than the limit, whatever size the storage told. Raises TooLarge."""
        received = 0
        for chunk in chunks:
            received += len(chunk)
            self.check_size(key, received, limit)
            yield chunk

    def stream(
        self, key: str, offset: int = 0, length: int | None = None, *, limit: int | None = None
    ) -> Iterator[bytes]:
        """Yield an object's bytes from an offset on, at most about `CHUNK` at a time; what breaks off is resumed.

        With a ``limit`` the object has at most so many bytes. Raises what `read` does.
        """
        check_key(key)
        return self._cut_off(key, self._resumed_stream(key, offset, length, limit), limit)

    def _resumed_stream(self, key: str, offset: int, length: int | None, limit: int | None) -> Iterator[bytes]:
        received, answer = 0, None

        def next_chunk() -> bytes:
            nonlocal answer
            left = None if length is None else length - received
            answer = answer or self._stream(key, offset + received, left, limit)
            try:
                return next(answer, b"")
            except RunnerError:
                answer = None
                raise

        while chunk := self.persistently(next_chunk):
            received += len(chunk)
            yield chunk

    @abstractmethod
    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        """See `Storage.stream`; yields nothing for an object that has no byte at the offset.

        The size that the answer tells is given to `check_size` before a byte of it is read.
        """

    def create(self, key: str, data: bytes) -> None:
        """Store an object if there is none of that key yet.

        Raises AlreadyExists when another's object is there, WriteFailed and what `read` raises. Whatever the backend
        answers but success, the object is read back and compared: the server may have stored it and lost the answer.
        If it is not there and the failure may pass, it is tried again, within the time that other requests have; where
        the key is called taken all that time, and nothing can be read there, that is WriteFailed.
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

        try:
            self._retry_small(attempt, requests=2)
        except AlreadyExists as refusal:
            if not refusal.transient:
                raise
            message = f"{self.url(key)} is not created, as if there were one, and nothing can be read there"
            hint = "Take another key or run id, or ask the provider: was an object of this key deleted?"
            raise WriteFailed(message, hint=hint) from refusal

    def _is_ours(self, key: str, data: bytes, refusal: RunnerError) -> bool:
        try:
            return self._read(key, len(data)) == data
        except NotFound as absent:
            if isinstance(refusal, AlreadyExists) and type(absent) is NotFound:
                refusal.transient = True  # in conflict with another request, and nothing is stored yet
            return False
        except (TooLarge, CredentialsRefused):
            return False  # another's, or nobody here may know more
        except RunnerError as error:
            if isinstance(refusal, AlreadyExists):
                raise error from refusal  # whose it is was not found out, so nothing is concluded
            return False

    def refuses_create(self, key: str, data: bytes) -> bool:
        """Return whether the storage refuses to create what is there; ``data`` are that object's own bytes.

        One request, after which the object is what it was, whatever the answer. Raises what `create` does.
        """
        check_key(key)
        return not self._retry_small(lambda: _is_done(lambda: self._create(key, data), but_for=self._is_refusal))

    def _is_refusal(self, error: RunnerError) -> bool:
        """Return whether an error says that what is there stays."""
        return isinstance(error, AlreadyExists | Denied)

    @abstractmethod
    def _create(self, key: str, data: bytes) -> None:
        """Send a create to the backend; an answer that was lost may be reported as AlreadyExists."""

    def replace(self, key: str, data: bytes, media_type: str = "") -> None:
        """Store an object whether or not there is one, in one request. Raises what `create` does but AlreadyExists.

        A browser that gets it by a URL shows it as what ``media_type`` says, where the storage keeps such.
        For keys that have one writer only: of several at once, any may be the last.
        """
        check_key(key)
        self._retry_small(lambda: self._replace(key, data, media_type))

    @abstractmethod
    def _replace(self, key: str, data: bytes, media_type: str = "") -> None:
        """See `Storage.replace`."""

    def replace_unless_busy(self, key: str, data: bytes) -> bool:
        """Store an object as `replace` does; return False where the storage says that it was written just before."""
        check_key(key)
        return self._retry_small(lambda: _is_done(lambda: self._replace(key, data), but_for=self._is_busy))

    def _is_busy(self, _error: RunnerError) -> bool:
        """Return whether an error says that one object is written too often."""
        return False

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

        def attempt() -> None:
            with absence_passed_over():
                self._delete(key)

        self.persistently(attempt)

    @abstractmethod
    def _delete(self, key: str) -> None:
        """See `Storage.delete`; where there is nothing, NotFound may be raised."""

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects as `delete` does, in any order: side by side, and many by one request where there is such."""
        for key in keys:
            check_key(key)
        side_by_side(self._delete_batch, [keys[at : at + self.batch] for at in range(0, len(keys), self.batch)])

    def _delete_batch(self, keys: Sequence[str]) -> None:
        """Remove at most `batch` objects."""
        for key in keys:
            self.delete(key)

    def list_recursive(self, prefix: str = "") -> Iterator[Entry]:
        """Yield every object whose key begins with the prefix (empty, or a folder's name and a slash), in any order."""
        check_prefix(prefix)
        return self._usable(prefix, self._resumed_listing(prefix))

    def _usable(self, prefix: str, listing: Iterator[Entry]) -> Iterator[Entry]:
        """Yield what has a key that `check_key` takes; others may have put anything there, which is told once."""
        for entry in listing:
            if invalid_key(entry.key):
                self._pass_over(prefix, entry.key)
            else:
                yield entry

    def _pass_over(self, prefix: str, key: str) -> None:
        """Warn once of a prefix below which objects, or folders, have keys that no storage of runner's takes."""
        if prefix not in self._told:
            self._told.add(prefix)
            from runner.backends.progress import warn_of_foreign_key

            warn_of_foreign_key(self.url(prefix), key)

    def _resumed_listing(self, prefix: str) -> Iterator[Entry]:
        seen, answer = set[str](), None

        def next_entry() -> Entry | None:
            nonlocal answer
            answer = answer or self._told_once(prefix, self._list_recursive(prefix))
            try:
                return next((entry for entry in answer if entry.key not in seen), None)
            except RunnerError:
                answer = None
                raise

        while entry := self._retry_small(next_entry):
            seen.add(entry.key)
            yield entry

    def _told_once(self, prefix: str, listed: Iterable[Entry]) -> Iterator[Entry]:
        """Yield each entry of a listing once. Raises ReadFailed for one that goes round in circles, without an end."""
        told, again = set[str](), 0
        for entry in listed:
            if entry.key not in told:
                told.add(entry.key)
                yield entry
            elif (again := again + 1) > len(told):
                message = f"the listing of {self.url(prefix)} tells the same objects again and again, without an end"
                raise ReadFailed(message, hint="Ask the provider: its pages do not advance.", transient=False)

    @abstractmethod
    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        """See `Storage.list_recursive`."""

    def list_folder(self, prefix: str = "") -> tuple[list[str], list[Entry]]:
        """Return the names of the folders and the objects directly under a prefix (empty, or ending in a slash).

        Folder names come without slashes and sorted, entries sorted by key. The empty objects named ``etl/`` that
        consoles leave for a folder are none; see also `list_recursive`.
        """
        check_prefix(prefix)
        names, entries = self._retry_small(lambda: self._list_folder(prefix), requests=2)  # empty ones are asked for
        if foreign := {name for name in names if invalid_key(f"{prefix}{name}")}:
            self._pass_over(prefix, f"{prefix}{min(foreign)}/")
        return [name for name in names if name not in foreign], list(self._usable(prefix, iter(entries)))

    @abstractmethod
    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        """See `Storage.list_folder`."""

    def sweep(self, prefix: str) -> None:
        """Remove what `left_over` returns. Nobody may write there meanwhile; what may not be removed stays."""
        check_prefix(prefix)
        for entry in self.left_over(prefix):
            with suppress(RunnerError):
                self._delete(entry.key)

    def left_over(self, _prefix: str) -> list[Entry]:
        """Return what writers that died left below a prefix, and no listing tells of; in a bucket nothing can be."""
        return []


def _is_done(send: Callable[[], None], *, but_for: Callable[[RunnerError], bool]) -> bool:
    """Send a request; return False where it was refused for this reason. Raises what it raises for any other."""
    try:
        send()
    except RunnerError as error:
        if not but_for(error):
            raise
        return False
    return True
