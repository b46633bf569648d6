"""S3 and Azure through obstore: the bytes, the retries, and what an answer means."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions

from runner.backends.base import CHUNK, Entry, Storage, Writer
from runner.backends.errors import elsewhere
from runner.backends.object_store_errors import error_for_response
from runner.backends.retry import ANSWER_SECONDS, PART_SHARE, START_SECONDS
from runner.errors import BucketMissing, CredentialsRefused, Denied, EnvironmentWrong, NotFound, RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.backends.credential_sources import ChosenSource
    from runner.backends.object_store_errors import Refusal

    # Of a place (a region), client options and retry settings, makes a store of obstore's.
    Connect = Callable[[str, dict[str, object], dict[str, object]], Any]

T = TypeVar("T")
# Requests are tried again by `Storage`; only the parts of an upload, which nobody else could send again, by obstore.
NO_RETRIES: dict[str, object] = {"max_retries": 0}
MANY = 1000  # tries: time alone ends them
BACKOFF = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2}
CONNECT_TIMEOUT_SECONDS = 3.0
UPLOAD_SECONDS = 30.0  # that an answer may take after a large body was sent, at this speed at the least
SLOWEST_UPLOAD = 100_000  # bytes a second
PARTS_AT_ONCE = 3  # of an upload, each `CHUNK` bytes of memory
_WRONG_REGION = re.compile(
    r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Received redirect"
)
_NO_RANGE = re.compile(r"status code: 416 |^Generic \w+ error: Wanted range starting at")


class ObjectStorage(Storage):
    """See `Storage`.

    Args:
        scheme: of its URLs.
        bucket: its name.
        connect: makes obstore's store of a place (a region), client options and retry settings.
        refusal: recognises the cloud's own words for what it refuses; see `error_for_response`.
        patience: see `open_storage`.
        credential_source: see `Storage`.
        certificates: the path of the authorities to trust instead of the system's, if there is one.
        place: the place to try first.
        relocated: returns the place where the bucket really lies, by what an answer says, or None.
        renew: returns another ``connect``, with credentials that were looked for anew.
    """

    retry_seconds = START_SECONDS

    def __init__(  # noqa: PLR0913 - what a bucket of either cloud has
        self,
        scheme: str,
        bucket: str,
        connect: Connect,
        refusal: Refusal,
        *,
        patience: float | None,
        credential_source: ChosenSource,
        certificates: str | None = None,
        place: str = "",
        relocated: Callable[[str], str | None] = lambda _reason: None,
        renew: Callable[[], Connect],
    ) -> None:
        super().__init__(scheme, bucket, patience=patience, credential_source=credential_source)
        self._connect, self._refusal, self._place, self._relocated = connect, refusal, place, relocated
        self._renew = renew
        self._options: dict[str, object] = {"allow_http": True}  # only an endpoint that the user wrote is asked so
        self._certificates = certificates
        if certificates:
            self._options["root_certificate"] = _read_certificates(certificates)
        self._stores: dict[float, Any] = {}  # by the seconds that they wait for an answer
        self._opened = 0  # how often all of them were opened anew
        self._store_now()
        self._uploads: tuple[tuple[int, float], Any] | None = None  # opened with the first one
        self._answered = False  # whether an answer of the bucket has shown that this is its place

    @property
    def endpoint(self) -> str:
        """See `Storage.endpoint`."""
        config = self._store_now().config  # S3 has an endpoint of its own beside that of all of AWS
        return str(config.get("endpoint_url_s3") or config.get("endpoint") or "").rstrip("/")

    def _store_now(self) -> Any:
        """Return the store that waits for an answer as long as one may take now."""
        seconds = self.answer_seconds
        if seconds not in self._stores:
            whole = timedelta(days=1) if self.patience is None else timedelta(seconds=seconds)
            connect_within = CONNECT_TIMEOUT_SECONDS if self.patience is None else seconds * 2 / 3
            self._stores[seconds] = self._open(NO_RETRIES, seconds, timeout=whole, connect=connect_within)
        return self._stores[seconds]

    def _open(
        self,
        retries: dict[str, object],
        seconds: float,
        *,
        timeout: timedelta = timedelta(days=1),  # obstore's own is 30 s for a whole body, too short for 1 GB
        connect: float = CONNECT_TIMEOUT_SECONDS,
    ) -> Any:
        options = self._options | {
            "connect_timeout": timedelta(seconds=min(connect, CONNECT_TIMEOUT_SECONDS)),
            "timeout": timeout,
            "read_timeout": timedelta(seconds=seconds),
        }
        try:
            return self._connect(self._place, options, retries)
        except (exceptions.BaseError, ValueError) as error:
            message = f"the settings for {self.url('')} are not valid: {str(error).splitlines()[0]}"
            raise EnvironmentWrong(message, hint="Correct the variables of this storage.") from error

    def _open_anew(self) -> None:
        self._stores, self._opened = {}, self._opened + 1

    def _renew_credentials(self) -> None:
        self._connect = self._renew()
        self._open_anew()

    def _request(self, what: str, key: str, call: Callable[[Any], T]) -> T:
        """Make one call, once more if the bucket turns out to lie elsewhere, and raise our errors for obstore's."""
        store, opened, patience, began = self._store_now(), self._opened, self.answer_seconds, time.monotonic()
        with self.timed():
            try:
                answer = call(store)
            except (exceptions.BaseError, OSError, ValueError) as error:
                if self._moved(opened, str(error)):
                    return self._request(what, key, call)
                waited = time.monotonic() - began
                meant = error_for_response(
                    error, self, what, key, waited=waited, patience=patience, refusal=self._refusal
                )
                if isinstance(meant, CredentialsRefused) and not self._answered and (host := self._redirected_to(key)):
                    meant = elsewhere(self, what, key, f"it is redirected to {host}")
                raise meant from error
        self._answered = True
        return answer

    def _redirected_to(self, key: str) -> str:
        """Return the host that an unsigned request is sent on to, where nobody knows the credentials; empty if none."""
        import http.client
        import ssl
        from urllib.parse import quote, urlsplit

        url = urlsplit(self.endpoint)
        try:
            asked = http.client.HTTPConnection(url.netloc, timeout=CONNECT_TIMEOUT_SECONDS)
            if url.scheme == "https":
                context = ssl.create_default_context(cafile=self._certificates)
                asked = http.client.HTTPSConnection(url.netloc, timeout=CONNECT_TIMEOUT_SECONDS, context=context)
            asked.request("HEAD", f"{url.path}/{self.container}/{quote(key)}")
            found = urlsplit(asked.getresponse().getheader("Location", "")).netloc
            asked.close()
        except (OSError, http.client.HTTPException, ValueError):
            return ""
        return found if found != url.netloc else ""

    def _moved(self, opened: int, reason: str) -> bool:
        """Return whether the bucket turned out to be in another region (found by this or another thread)."""
        if _WRONG_REGION.search(reason) and (place := self._relocated(reason)) and place != self._place:
            self._place = place
            self._open_anew()
        return self._opened != opened

    def _store_for(self, size: int) -> Any:
        """Return a store that waits long enough for a body of so many bytes to be sent."""
        if size <= ANSWER_SECONDS * SLOWEST_UPLOAD:
            return self._store_now()
        return self._open(NO_RETRIES, UPLOAD_SECONDS + size / SLOWEST_UPLOAD)

    def _store_of_uploads(self) -> Any:
        """Return a store that sends a part again as long as failures are borne."""
        state = (self._opened, self.retry_seconds)
        if self._uploads is None or self._uploads[0] != state:
            borne = timedelta(seconds=self.retry_seconds * PART_SHARE)
            retries = {"max_retries": MANY, "retry_timeout": borne, "backoff": BACKOFF}
            wait = UPLOAD_SECONDS + PARTS_AT_ONCE * CHUNK / SLOWEST_UPLOAD
            self._uploads = (state, self._open(retries, wait))
        return self._uploads[1]

    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        if length == 0:
            return
        window: Any = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": window} if offset or length else None
        try:
            found = self._request("read", key, lambda store: obstore.get(store, key, options=options))
        except RunnerError as error:
            if options and _NO_RANGE.search(str(error.__cause__)):
                return
            raise
        if found.meta["e_tag"] is None and str(found.attributes.get("Content-Type", "")).startswith("text/html"):
            raise elsewhere(self, "read", key)
        self.check_size(key, found.meta["size"], limit)
        chunks = iter(found.stream(min_chunk_size=CHUNK))
        while chunk := self._request("read", key, lambda _store: next(chunks, None)):
            yield bytes(chunk)

    def _create(self, key: str, data: bytes) -> None:
        def put(_store: object) -> object:
            return obstore.put(self._store_for(len(data)), key, data, mode="create")

        self._request("write", key, put)

    def _replace(self, key: str, data: bytes) -> None:
        def put(_store: object) -> object:
            return obstore.put(self._store_for(len(data)), key, data, mode="overwrite", use_multipart=False)

        self._request("write", key, put)

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        if not self._answered:  # a part that was sent to the wrong place cannot be taken back
            with suppress(NotFound, Denied):
                for _ in self._stream(key, 0, 1):
                    pass
        upload = obstore.open_writer(self._store_of_uploads(), key, buffer_size=CHUNK, max_concurrency=PARTS_AT_ONCE)
        yield Writer(lambda part: self._request("write", key, lambda _store: upload.write(part)))
        self._request("write", key, lambda _store: upload.close())  # without it nothing is there

    def _delete(self, key: str) -> None:
        try:
            self._request("delete", key, lambda store: obstore.delete(store, key))
        except BucketMissing:
            raise
        except NotFound:
            pass

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        folder = prefix.rstrip("/") or None

        def begin(store: Any) -> tuple[Any, Any]:
            pages = obstore.list(store, folder, chunk_size=1000)
            return pages, next(pages, None)  # the first page is the first request

        pages, page = self._request("list", prefix, begin)
        while page:
            yield from self._entries(prefix, page)
            page = self._request("list", prefix, lambda _store: next(pages, None))

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        folder = prefix.rstrip("/") or None
        found: Any = self._request("list", prefix, lambda store: obstore.list_with_delimiter(store, folder))
        names = sorted(path.rsplit("/", 1)[-1] for path in found["common_prefixes"])
        return names, sorted(self._entries(prefix, found["objects"]), key=lambda entry: entry.key)

    def _entries(self, prefix: str, found: Any) -> Iterator[Entry]:
        """Leave out folder markers: obstore takes the slash off, and only a request tells them from empty objects."""
        for meta in found:
            key, size = meta["path"], meta["size"]
            if key.startswith(prefix) and (size or self._is_there(key)):
                yield Entry(key, size, meta["last_modified"].timestamp())

    def _is_there(self, key: str) -> bool:
        try:
            self._request("read", key, lambda store: obstore.head(store, key))
        except NotFound:
            return False
        except Denied:
            pass
        return True


def _read_certificates(path: str) -> bytes:
    from pathlib import Path

    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"the certificates {path} cannot be read: {error.strerror}"
        raise EnvironmentWrong(message, hint="Correct AWS_CA_BUNDLE or SSL_CERT_FILE, or mount the file.") from error
