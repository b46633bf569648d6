"""S3 and Azure through obstore: the bytes, the retries, and what an answer means."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions

from runner.backends.base import CHUNK, SHARE, Entry, Storage, Writer
from runner.backends.object_store_errors import error_for_response
from runner.errors import AlreadyExists, BucketMissing, Denied, EnvironmentWrong, NotFound, RunnerError, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Connect = Callable[[str, dict[str, object], dict[str, object]], Any]

T = TypeVar("T")
# An endpoint that is down is given up well within 15 s: retries begin for so long, the last may take 3 s to connect.
DEADLINE = 8.0  # seconds in which a retry may begin
RETRIES: dict[str, object] = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=DEADLINE),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
CONNECT_TIMEOUT = timedelta(seconds=3)
READ_TIMEOUT = timedelta(seconds=30)  # without a byte; obstore's own limit is 30 s for a whole body, too short for 1 GB
SLOWEST_UPLOAD = 100_000  # bytes a second: a request that sends a large body waits that long for its answer
PARTS_AT_ONCE = 3  # of an upload, each `CHUNK` bytes of memory
_WRONG_REGION = re.compile(
    r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Received redirect"
)
# Of creates of one key at once: S3 asks the loser to try again.
_CONFLICT = "<Code>ConditionalRequestConflict<"
_NO_RANGE = re.compile(r"status code: 416 |^Generic \w+ error: Wanted range starting at")


class ObjectStorage(Storage):
    """See `Storage`. ``connect`` makes obstore's store of a place (a region), client options and retry settings."""

    def __init__(
        self,
        scheme: str,
        bucket: str,
        connect: Connect,
        environ: Mapping[str, str],
        *,
        patience: float | None = None,
        place: str = "",
        relocated: Callable[[str], str | None] = lambda _reason: None,
    ) -> None:
        """Open a bucket; ``relocated`` gives the place where it really lies, told by an answer, or None."""
        super().__init__(scheme, bucket, patience)
        self.deadline = DEADLINE
        self._connect, self._place, self._relocated = connect, place, relocated
        self._options: dict[str, object] = {
            "allow_http": True,  # only an endpoint that the user wrote with http:// is asked so
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": timedelta(days=1),
            "read_timeout": READ_TIMEOUT,
        }
        self._retries, self._wait = RETRIES, READ_TIMEOUT
        if patience is not None:
            self._wait = timedelta(seconds=patience * SHARE)
            self._options |= {"connect_timeout": min(CONNECT_TIMEOUT, self._wait * 2 / 3), "timeout": self._wait}
            self._retries = RETRIES | {"max_retries": 0}
        trusted = (scheme == "s3" and environ.get("AWS_CA_BUNDLE")) or environ.get("SSL_CERT_FILE")
        if trusted:
            self._options["root_certificate"] = _certificates(trusted)
        self._store = self._open()
        self._uploads: Any = None  # a second store, with an upload's patience; opened with the first large one
        self._answered = False  # an answer of the bucket has shown that this is its place

    @property
    def endpoint(self) -> str:
        """See `Storage.endpoint`."""
        config = self._store.config  # S3 has an endpoint of its own beside that of all of AWS
        return str(config.get("endpoint_url_s3") or config.get("endpoint") or "").rstrip("/")

    def _open(self, place: str | None = None, **changed: object) -> Any:
        try:
            return self._connect(self._place if place is None else place, self._options | changed, self._retries)
        except (exceptions.BaseError, ValueError) as error:
            message = f"the settings for {self.url('')} are not valid: {str(error).splitlines()[0]}"
            raise EnvironmentWrong(message, hint="Correct the variables of this storage.") from error

    def _ask(self, what: str, key: str, call: Callable[[Any], T]) -> T:
        """Make one call, once more if the bucket turns out to lie elsewhere, and turn what fails into our errors."""
        store, began = self._store, time.monotonic()
        try:
            answer = call(store)
        except (exceptions.BaseError, OSError, ValueError) as error:
            if not self._moved(store, str(error)):
                raise error_for_response(
                    error, self, what, key, waited=time.monotonic() - began, patience=self._wait.total_seconds()
                ) from error
            return self._ask(what, key, call)
        self._answered = True
        return answer

    def _moved(self, store: object, reason: str) -> bool:
        """Find out whether the bucket lies elsewhere than in the store that was asked, by any thread's finding."""
        if _WRONG_REGION.search(reason) and (place := self._relocated(reason)) and place != self._place:
            self._store, self._uploads, self._place = self._open(place), None, place
        return self._store is not store

    def _patient(self, size: int) -> Any:
        """Give the store for bodies so large that sending them may take longer than an answer may."""
        if size <= CHUNK:
            return self._store
        if size > PARTS_AT_ONCE * CHUNK:
            return self._open(read_timeout=READ_TIMEOUT + timedelta(seconds=size / SLOWEST_UPLOAD))
        self._uploads = self._uploads or self._open(
            read_timeout=READ_TIMEOUT + timedelta(seconds=PARTS_AT_ONCE * CHUNK / SLOWEST_UPLOAD)
        )
        return self._uploads

    def _stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        if length == 0:
            return
        window: Any = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": window} if offset or length else None
        try:
            found = self._ask("read", key, lambda store: obstore.get(store, key, options=options))
        except RunnerError as error:
            if options and _NO_RANGE.search(str(error.__cause__)):
                return
            raise
        chunks = iter(found.stream(min_chunk_size=CHUNK))
        while chunk := self._ask("read", key, lambda _store: next(chunks, None)):
            yield bytes(chunk)

    def _create(self, key: str, data: bytes) -> None:
        def put(_store: object) -> object:
            return obstore.put(self._patient(len(data)), key, data, mode="create")

        try:
            self._ask("write", key, put)
        except AlreadyExists as error:
            error.transient = _CONFLICT in str(error.__cause__)
            raise

    def _may_retry_create(self, error: RunnerError) -> bool:
        """See `Storage._may_retry_create`: obstore repeats no create whose connection broke, nor one in conflict."""
        if isinstance(error, AlreadyExists):
            return error.transient
        return error.transient and isinstance(error, WriteFailed) and "status code: " not in str(error.__cause__)

    def _replace(self, key: str, data: bytes) -> None:
        def put(_store: object) -> object:
            return obstore.put(self._patient(len(data)), key, data, mode="overwrite", use_multipart=False)

        self._ask("write", key, put)

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        if not self._answered:  # a part that was sent to the wrong place cannot be taken back
            with suppress(NotFound, Denied):
                for _ in self._stream(key, 0, 1):
                    pass
        store = self._patient(PARTS_AT_ONCE * CHUNK)
        upload = obstore.open_writer(store, key, buffer_size=CHUNK, max_concurrency=PARTS_AT_ONCE)
        yield Writer(lambda part: self._ask("write", key, lambda _store: upload.write(part)))
        self._ask("write", key, lambda _store: upload.close())  # without it nothing is there

    def _delete(self, key: str) -> None:
        try:
            self._ask("delete", key, lambda store: obstore.delete(store, key))
        except BucketMissing:
            raise
        except NotFound:
            pass

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        folder = prefix.rstrip("/") or None

        def begin(store: Any) -> tuple[Any, Any]:
            pages = obstore.list(store, folder, chunk_size=1000)
            return pages, next(pages, None)  # the first page is the first request

        pages, page = self._ask("list", prefix, begin)
        while page:
            yield from self._entries(prefix, page)
            page = self._ask("list", prefix, lambda _store: next(pages, None))

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        folder = prefix.rstrip("/") or None
        found: Any = self._ask("list", prefix, lambda store: obstore.list_with_delimiter(store, folder))
        names = sorted(path.rsplit("/", 1)[-1] for path in found["common_prefixes"])
        return names, sorted(self._entries(prefix, found["objects"]), key=lambda entry: entry.key)

    def _entries(self, prefix: str, found: Any) -> Iterator[Entry]:
        """Leave out folder markers: obstore takes the slash off, and then only asking tells them from empty objects."""
        for meta in found:
            key, size = meta["path"], meta["size"]
            if key.startswith(prefix) and (size or self._is_there(key)):
                yield Entry(key, size, meta["last_modified"].timestamp())

    def _is_there(self, key: str) -> bool:
        try:
            self._ask("read", key, lambda store: obstore.head(store, key))
        except NotFound:
            return False
        except Denied:
            pass
        return True


def _certificates(path: str) -> bytes:
    from pathlib import Path

    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"the certificates {path} cannot be read: {error.strerror}"
        raise EnvironmentWrong(message, hint="Correct AWS_CA_BUNDLE or SSL_CERT_FILE, or mount the file.") from error
