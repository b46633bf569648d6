"""Google Cloud Storage through Google's own library, whose emulators users test with."""

from __future__ import annotations

import http.client
import io
import ssl
import time
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from runner.backends.background import in_time, take_longer
from runner.backends.base import CACHE_CONTROL, Entry, Storage
from runner.backends.credential_sources import check_endpoint, check_value, check_variables
from runner.backends.errors import default_error, elsewhere, format_seconds, is_transient, make_error
from runner.backends.gcp.errors import causes, reason, remedy
from runner.backends.pieces import CHUNK, Writer
from runner.backends.progress import Progress, goes_round
from runner.backends.retry import PART_SHARE, REQUEST_SHARE, SLOWEST_ANSWER, START_SECONDS
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
)
from runner.images import image_of
from runner.schemes import GCS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypedDict

    from runner.backends.credential_sources import ChosenSource
    from runner.backends.gcp.credentials import GcpAccess
    from runner.secrets.named import Credentials

    class _Options(TypedDict):
        """What each of the library's calls takes: seconds to connect and to read, and its retries, if it makes any."""

        timeout: tuple[float, float]
        retry: Any


T = TypeVar("T")
CONNECT_TIMEOUT_SECONDS = 3.0
UPLOAD_SECONDS = 30.0  # that an answer to a part of an upload may take
UNTOLD_BYTES = 1024 * 1024  # that an answer is taken to have which does not tell its size: a page of a listing
_DIGITS = 16  # of a size: a longer number is none


def open_gcs(
    bucket: str, credentials: Credentials, environ: Mapping[str, str], patience: float | None = None
) -> GCSStorage:
    """Open a bucket.

    Credentials: what `find_gcp` finds. Needs the role "Storage Object User". Raises CredentialsRefused and
    EnvironmentWrong.
    """
    try:
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import storage
    except ImportError as error:
        message = f"gs://{bucket} needs google-cloud-storage, which is not installed"
        hint = f"Use {image_of('gcp')} or pip install 'flow-runner[gcp]'."
        raise EnvironmentWrong(message, hint=hint) from error
    from runner.backends.gcp.credentials import find_gcp

    options: dict[str, dict[str, str]] = {}
    check_variables(GCS, environ)
    if emulator := check_value("STORAGE_EMULATOR_HOST", environ.get("STORAGE_EMULATOR_HOST", "")).rstrip("/"):
        endpoint = emulator if "://" in emulator else f"http://{emulator}"
        options["client_options"] = {"api_endpoint": check_endpoint("STORAGE_EMULATOR_HOST", endpoint)}
    # else a token server that is down is asked for 120 s
    refresh_seconds = patience * REQUEST_SHARE if patience else START_SECONDS

    def open_bucket(access: GcpAccess) -> Any:
        session = AuthorizedSession(access.credentials, refresh_timeout=refresh_seconds)
        for scheme in ("http://", "https://"):
            session.mount(scheme, _block_adapter())
        # only buckets belong to a project, and none is made here
        project = environ.get("GOOGLE_CLOUD_PROJECT") or "none"
        client = storage.Client(project=project, credentials=access.credentials, _http=session, **options)
        return client.bucket(bucket)

    access = find_gcp(bucket, credentials, environ)
    return GCSStorage(
        open_bucket(access),
        patience=patience,
        credential_source=access.source,
        renew=lambda: open_bucket(find_gcp(bucket, credentials, environ)),
    )


def _block_adapter() -> Any:
    """Return an adapter that sends bodies in blocks: a whole one would have to be sent within the connect timeout.

    It also tells whoever waits how long the body of an answer may take: `requests` waits as long as some byte comes.

    https://docs.python.org/3/library/socket.html#socket.socket.sendall has the timeout for all of the data.
    """
    from requests.adapters import HTTPAdapter

    class InBlocks(HTTPAdapter):
        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            if isinstance(request.body, bytes):
                request.body = io.BytesIO(request.body)
            answer = super().send(request, *args, **options)
            told = answer.headers.get("Content-Length", "")
            size = min(int(told), CHUNK) if told.isdecimal() and len(told) < _DIGITS else UNTOLD_BYTES
            take_longer(size / SLOWEST_ANSWER)
            return answer

    return InBlocks()


class GCSStorage(Storage):
    """See `Storage`; ``bucket`` is the library's own, and ``renew`` returns another, with credentials of now."""

    retry_seconds = START_SECONDS

    def __init__(
        self, bucket: Any, *, patience: float | None, credential_source: ChosenSource, renew: Callable[[], Any]
    ) -> None:
        super().__init__(GCS.scheme, bucket.name, patience=patience, credential_source=credential_source)
        self._bucket, self._renew, self._blob = bucket, renew, _measured_blob()

    def _renew_credentials(self) -> None:
        self._bucket = self._renew()

    @property
    def endpoint(self) -> str:
        """See `Storage.endpoint`."""
        return str(self._bucket.client.api_endpoint).rstrip("/")

    def _request(self, what: str, key: str, call: Callable[[_Options], T]) -> T:
        """Make one call with our timeouts, and raise our errors for the library's."""
        connect, answer = CONNECT_TIMEOUT_SECONDS, self.answer_seconds
        if self.patience is not None:
            connect = min(connect, answer / 6)
            answer -= connect
        options: _Options = {"timeout": (connect, answer), "retry": None}
        began = time.monotonic()
        most = connect + (2 * answer if self.patience is None else answer)
        with self.timed():
            try:
                return call(options) if what in {"write", "delete"} else in_time(most, lambda: call(options))
            except RunnerError:
                raise
            except Exception as error:
                raise self._error(what, key, error, time.monotonic() - began) from error

    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        return self._ranges(key, offset, length, limit, lambda read: read())

    def _resumed_stream(self, key: str, offset: int, length: int | None, limit: int | None) -> Iterator[bytes]:
        """See `Storage`: here a range that fails is asked for again, of the same generation as those before it."""
        return self._ranges(key, offset, length, limit, self.persistently)

    def _ranges(
        self,
        key: str,
        offset: int,
        length: int | None,
        limit: int | None,
        ask: Callable[[Callable[[], bytes]], bytes],
    ) -> Iterator[bytes]:
        blob = self._blob(key, self._bucket)
        end = None if length is None else offset + length
        while end is None or offset < end:
            last = offset + CHUNK - 1 if end is None else min(offset + CHUNK, end) - 1
            if limit is not None:
                last = min(last, max(offset, limit))  # one byte more shows that there are too many
            read = self._range(blob, offset, last)
            try:
                chunk = ask(partial(self._request, "read", key, read))
            except (NotFound, AlreadyExists) as error:
                if blob.generation is None:
                    raise
                raise make_error(ReadFailed, self, "read", key, "it was replaced meanwhile") from error
            if blob.generation is None and str(blob.content_type).startswith("text/html"):
                raise elsewhere(self, "read", key)
            self.check_size(key, max(blob.whole_size, offset + len(chunk)), limit)
            if chunk:
                yield chunk
            offset += len(chunk)
            # an answer may be shorter than what was asked for, and not every server tells the size of the whole
            if not chunk or (offset >= blob.whole_size if blob.whole_size else len(chunk) < CHUNK):
                return

    def _read_changed(self, key: str, tag: str, limit: int) -> tuple[bytes, str] | None:
        from google.api_core.exceptions import NotModified

        blob = self._blob(key, self._bucket)
        other = {"if_generation_not_match": int(tag)} if tag else {}

        def ask(options: _Options) -> bytes | None:
            try:
                data: bytes = blob.download_as_bytes(end=limit, raw_download=True, **other, **options)
            except NotModified:
                return None
            return data

        data = self._request("read", key, ask)
        if data is None:
            return None
        self.check_size(key, max(blob.whole_size, len(data)), limit)
        return data, str(blob.generation or "")

    def _range(self, blob: Any, first: int, last: int) -> Callable[[_Options], bytes]:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        def read(options: _Options) -> bytes:
            kept = _Room(last + 1 - first)
            try:
                # the first answer sets the blob's generation, and the next ranges are then asked of that one alone;
                # raw: of an object that is stored compressed the ranges would not fit together
                blob.download_to_file(kept, start=first, end=last, raw_download=True, **options)
            except RequestRangeNotSatisfiable:
                return b""
            if blob.first_byte != first and kept.tell():
                detail = f"the answer begins at byte {blob.first_byte:,}, and byte {first:,} was asked for"
                raise make_error(ReadFailed, self, "read", blob.name, detail)
            return kept.getvalue()

        return read

    def _create(self, key: str, data: bytes) -> None:
        blob = self._bucket.blob(key)
        self._request("write", key, lambda options: blob.upload_from_string(data, if_generation_match=0, **options))

    def _is_refusal(self, error: RunnerError) -> bool:
        """See `Storage._is_refusal`; that an object is written too often costs a second."""
        return self._is_busy(error) or super()._is_refusal(error)

    def _is_busy(self, error: RunnerError) -> bool:
        """See `Storage._is_busy`; only Google says so: https://cloud.google.com/storage/quotas#objects."""
        from google.api_core.exceptions import TooManyRequests

        return isinstance(error.__cause__, TooManyRequests)

    def _replace(self, key: str, data: bytes, media_type: str = "") -> None:
        blob = self._bucket.blob(key)
        blob.cache_control = CACHE_CONTROL
        kept = {"content_type": media_type} if media_type else {}
        self._request("write", key, lambda options: blob.upload_from_string(data, **kept, **options))

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        from google.cloud.storage.retry import DEFAULT_RETRY

        # a part is sent again by the library, as nobody else could
        retries = DEFAULT_RETRY.with_timeout(self.retry_seconds * PART_SHARE)
        timeouts = (CONNECT_TIMEOUT_SECONDS, UPLOAD_SECONDS)
        upload = self._bucket.blob(key).open("wb", chunk_size=CHUNK, timeout=timeouts, retry=retries)
        try:
            yield Writer(lambda part: self._request("write", key, lambda _options: upload.write(part)))
            self._request("write", key, lambda _options: upload.close())
        finally:
            # the garbage collector closes files, and to close this one is to finish the upload
            upload.close = lambda: None

    def _delete(self, key: str) -> None:
        self._request("delete", key, lambda options: self._bucket.blob(key).delete(**options))

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        for entries, _ in self._pages(prefix):
            yield from entries

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        found, names = list[Entry](), set[str]()
        for entries, folders in self._pages(prefix, delimiter="/"):
            found += entries
            names |= {folder.removeprefix(prefix).removesuffix("/") for folder in folders}
        return sorted(names), sorted(self._told_once(prefix, found), key=lambda entry: entry.key)

    def _pages(self, prefix: str, **kind: str) -> Iterator[tuple[list[Entry], tuple[str, ...]]]:
        """Yield the entries, and the folders with a delimiter, of each page of a listing."""
        listing = self._request(
            "list", prefix, lambda options: self._bucket.list_blobs(prefix=prefix, **kind, **options)
        )
        pages, progress = listing.pages, Progress(self.url(prefix))

        def next_page(_options: _Options) -> tuple[list[Any], tuple[str, ...]] | None:
            page = next(pages, None)
            return None if page is None else (list(page), page.prefixes)

        token = None
        while page := self._request("list", prefix, next_page):
            if token is not None and token == listing.next_page_token:
                raise goes_round(self.url(prefix))
            token, (blobs, folders) = listing.next_page_token, page
            progress.saw([*(blob.name for blob in blobs), *folders])
            yield [_entry(blob) for blob in blobs if not blob.name.endswith("/")], folders

    def _lacks_bucket(self, what: str, said: str) -> bool:
        """Return whether it is the bucket that is not there; where an answer does not say so, a listing does."""
        if what == "list" or "bucket does not exist" in said:
            return True
        if "No such object" in said:
            return False
        try:
            self._request(
                "list", "", lambda options: next(iter(self._bucket.list_blobs(max_results=1, **options)), None)
            )
        except BucketMissing:
            return True
        except RunnerError:
            pass
        return False

    def _error(self, what: str, key: str, error: Exception, waited: float) -> RunnerError:
        """Return the error that an exception of Google's libraries means.

        ``what`` is ``read``, ``write``, ``list`` or ``delete``; ``waited`` is the seconds until the exception came.
        """
        import requests
        from google.auth.exceptions import GoogleAuthError, TransportError

        def make(kind: type[RunnerError], detail: object = "", *, transient: bool | None = None) -> RunnerError:
            return make_error(kind, self, what, key, detail, transient=transient)

        # a retry that gave up hides why, and so does a transport of google-auth's
        while isinstance(inner := getattr(error, "cause", None), Exception):
            error = inner
        answer: Any = getattr(error, "response", None)
        status = getattr(answer, "status_code", None)
        if status == HTTPStatus.NOT_FOUND:
            return make(BucketMissing if self._lacks_bucket(what, answer.text) else NotFound)
        if status == HTTPStatus.PRECONDITION_FAILED:
            return make(AlreadyExists)
        if status == HTTPStatus.FORBIDDEN:
            said = reason(answer)
            return make_error(Denied, self, what, key, said, hint=remedy(said))
        if status == HTTPStatus.UNAUTHORIZED:
            return make(CredentialsRefused, error)
        chain = [error, *causes(error)]
        if any(isinstance(one, requests.exceptions.ReadTimeout | TimeoutError) for one in chain) and not any(
            isinstance(one, requests.exceptions.ConnectTimeout) for one in chain
        ):
            return make(TooSlow, format_seconds(waited))
        if isinstance(error, requests.exceptions.ConnectionError | TransportError | ConnectionError):
            broken = any(isinstance(one, ConnectionResetError | http.client.HTTPException) for one in chain)
            trusted = not any(isinstance(one, ssl.SSLCertVerificationError) for one in chain)
            return make(default_error(what) if broken else Unreachable, chain[-1], transient=trusted)
        if isinstance(error, GoogleAuthError):
            return make(CredentialsRefused, error)
        # a session of an upload that is gone: all of it can be sent again, in another one
        may_pass = is_transient(status, "") or status == HTTPStatus.GONE
        return make(default_error(what), error, transient=may_pass)


class _Room(io.BytesIO):
    """Takes as many bytes as were asked for: a server may send more, without end."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._size:
            message = f"an answer of the storage is longer than the {self._size:,} bytes that were asked for"
            raise ReadFailed(message, hint="Ask the provider: no storage does that.", transient=False)
        return super().write(data)


def _measured_blob() -> Any:
    """Return the library's class of objects, of which one remembers of the last answer: first byte and whole size."""
    import re

    from google.cloud.storage import Blob

    class Measured(Blob):  # type: ignore[misc]  # the library has no types
        first_byte = whole_size = 0

        def _extract_headers_from_download(self, response: Any) -> None:
            super()._extract_headers_from_download(response)
            told = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""), re.IGNORECASE)
            self.first_byte = int(told[1]) if told else 0
            self.whole_size = int(told[2]) if told and told[2] != "*" else 0

    return Measured


def _entry(blob: Any) -> Entry:
    """Return an entry of a listing; what an answer says nothing of is 0."""
    return Entry(blob.name, blob.size or 0, blob.updated.timestamp() if blob.updated else 0.0)
