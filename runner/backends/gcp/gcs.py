"""Google Cloud Storage through Google's own library, whose emulators users test with."""

from __future__ import annotations

import http.client
import io
import ssl
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from runner.backends.base import CHUNK, Entry, Storage, Writer
from runner.backends.errors import default_error, elsewhere, format_seconds, is_transient, make_error
from runner.backends.gcp.errors import causes, reason
from runner.backends.retry import PART_SHARE, REQUEST_SHARE, START_SECONDS
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
        raise EnvironmentWrong(message, hint="Use org/runner:gcp or pip install 'flow-runner[gcp]'.") from error
    from runner.backends.gcp.credentials import find_gcp

    options: dict[str, dict[str, str]] = {}
    if emulator := environ.get("STORAGE_EMULATOR_HOST"):
        endpoint = emulator.rstrip("/")
        options["client_options"] = {"api_endpoint": endpoint if "://" in endpoint else f"http://{endpoint}"}
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

    https://docs.python.org/3/library/socket.html#socket.socket.sendall has the timeout for all of the data.
    """
    from requests.adapters import HTTPAdapter

    class InBlocks(HTTPAdapter):
        def send(self, request: Any, *args: Any, **options: Any) -> Any:
            if isinstance(request.body, bytes):
                request.body = io.BytesIO(request.body)
            return super().send(request, *args, **options)

    return InBlocks()


class GCSStorage(Storage):
    """See `Storage`; ``bucket`` is the library's own, and ``renew`` returns another, with credentials of now."""

    retry_seconds = START_SECONDS

    def __init__(
        self, bucket: Any, *, patience: float | None, credential_source: ChosenSource, renew: Callable[[], Any]
    ) -> None:
        super().__init__(GCS.scheme, bucket.name, patience=patience, credential_source=credential_source)
        self._bucket, self._renew = bucket, renew

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
        with self.timed():
            try:
                return call(options)
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
        blob = _blob(self._bucket, key)
        end = None if length is None else offset + length
        while end is None or offset < end:
            last = offset + CHUNK - 1 if end is None else min(offset + CHUNK, end) - 1
            if limit is not None:
                last = min(last, max(offset, limit))  # one byte more shows that there are too many
            read = self._range(blob, offset, last)
            try:
                chunk = ask(lambda read=read: self._request("read", key, read))  # type: ignore[misc]
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
            if len(chunk) < CHUNK:
                return

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
            return kept.getvalue()

        return read

    def _create(self, key: str, data: bytes) -> None:
        blob = self._bucket.blob(key)
        self._request("write", key, lambda options: blob.upload_from_string(data, if_generation_match=0, **options))

    def _is_refusal(self, error: RunnerError) -> bool:
        """See `Storage._is_refusal`; only Google says that an object is written too often, and it costs a second."""
        from google.api_core.exceptions import TooManyRequests

        return isinstance(error.__cause__, TooManyRequests) or super()._is_refusal(error)

    def _replace(self, key: str, data: bytes) -> None:
        blob = self._bucket.blob(key)
        self._request("write", key, lambda options: blob.upload_from_string(data, **options))

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
        try:
            self._request("delete", key, lambda options: self._bucket.blob(key).delete(**options))
        except BucketMissing:
            raise
        except NotFound:
            pass

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        found = self._request("list", prefix, lambda options: iter(self._bucket.list_blobs(prefix=prefix, **options)))
        while blob := self._request("list", prefix, lambda _options: next(found, None)):
            if not blob.name.endswith("/"):
                yield _entry(blob)

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        def ask(options: _Options) -> tuple[list[str], list[Entry]]:
            found = self._bucket.list_blobs(prefix=prefix, delimiter="/", **options)
            entries = [_entry(blob) for blob in found if not blob.name.endswith("/")]
            names = sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found.prefixes)
            return names, sorted(entries, key=lambda entry: entry.key)

        return self._request("list", prefix, ask)

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
            return make(Denied, reason(answer))
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


def _blob(bucket: Any, key: str) -> Any:
    """Return an object of the library's that remembers in ``whole_size`` what the last answer told of the whole."""
    from google.cloud.storage import Blob

    class Measured(Blob):  # type: ignore[misc]
        whole_size = 0

        def _extract_headers_from_download(self, response: Any) -> None:
            super()._extract_headers_from_download(response)
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            self.whole_size = int(total) if total.isdecimal() else 0

    return Measured(key, bucket)


def _entry(blob: Any) -> Entry:
    """Return an entry of a listing; what an answer says nothing of is 0."""
    return Entry(blob.name, blob.size or 0, blob.updated.timestamp() if blob.updated else 0.0)
