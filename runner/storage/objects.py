"""S3 and Azure through obstore: the bytes, the retries, and what an answer means."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions

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
from runner.storage.base import CHUNK, Entry, Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runner.storage.base import Writer

    Connect = Callable[[str, dict[str, object], dict[str, object]], Any]

T = TypeVar("T")

# An endpoint that is down is given up well within 15 s: retries begin for 8 s, the last may take 3 s to connect.
RETRIES: dict[str, object] = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}
CONNECT_TIMEOUT = timedelta(seconds=3)
READ_TIMEOUT = timedelta(seconds=30)  # without a byte; obstore's own limit is 30 s for a whole body, too short for 1 GB
SLOWEST_UPLOAD = 100_000  # bytes a second: a single request that sends a large body waits that long for its answer
PARTS_AT_ONCE = 3  # of an upload, each `CHUNK` bytes of memory

_WRONG_REGION = re.compile(
    r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Received redirect"
)
_WRONG_KEYS = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|RequestTimeTooSkewed"
    r"|AuthenticationFailed|InvalidAuthenticationInfo"
)
_NO_KEYS = re.compile(r"169\.254\.169\.254|latest/api/token|[Cc]redential|metadata")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound")


class ObjectStorage(Storage):
    """See `Storage`. ``connect`` makes obstore's store of a place (a region), client options and retry settings."""

    def __init__(
        self,
        scheme: str,
        bucket: str,
        connect: Connect,
        environ: Mapping[str, str],
        *,
        place: str = "",
        relocated: Callable[[str], str | None] = lambda _reason: None,
    ) -> None:
        """Open a bucket; ``relocated`` gives the place where it really lies, told by an answer, or None."""
        super().__init__(scheme, bucket)
        self._connect, self._place, self._relocated = connect, place, relocated
        self._options: dict[str, object] = {
            "allow_http": True,  # only an endpoint that the user wrote with http:// is asked so
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": timedelta(days=1),
            "read_timeout": READ_TIMEOUT,
        }
        if certificates := environ.get("AWS_CA_BUNDLE" if scheme == "s3" else "SSL_CERT_FILE"):
            self._options["root_certificate"] = _certificates(Path(certificates))
        self._store = self._open()

    def _open(self, **changed: object) -> Any:  # noqa: ANN401 - obstore's stores have no common type
        try:
            return self._connect(self._place, self._options | changed, RETRIES)
        except (exceptions.BaseError, ValueError) as error:
            message = f"the settings for {self.url('')} are not valid: {_first_line(error)}"
            raise EnvironmentWrong(message, hint="Correct the variables of this storage.") from error

    def _ask(self, what: str, key: str, call: Callable[[Any], T]) -> T:
        """Make one call, once more if the bucket turns out to lie elsewhere, and turn what fails into our errors."""
        try:
            return call(self._store)
        except (exceptions.BaseError, OSError, ValueError) as error:
            reason = str(error)
            place = self._relocated(reason) if _WRONG_REGION.search(reason) else None
            if place is None or place == self._place:
                raise self._told(what, key, error) from error
            self._place = place
            self._store = self._open()
            return self._ask(what, key, call)

    def _stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        if length == 0:
            return
        window: Any = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": window} if offset or length else None
        found = self._ask("read", key, lambda store: obstore.get(store, key, options=options))
        chunks = iter(found.stream(min_chunk_size=CHUNK))
        while chunk := self._ask("read", key, lambda _store: next(chunks, None)):
            yield bytes(chunk)

    def _create(self, key: str, data: bytes) -> None:
        patience = READ_TIMEOUT + timedelta(seconds=len(data) / SLOWEST_UPLOAD)

        def put(store: Any) -> object:  # noqa: ANN401
            patient = self._open(read_timeout=patience) if len(data) > CHUNK else store
            return obstore.put(patient, key, data, mode="create")

        self._ask("write", key, put)

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        def open_writer(store: Any) -> Any:  # noqa: ANN401
            return obstore.open_writer(store, key, buffer_size=CHUNK, max_concurrency=PARTS_AT_ONCE)

        upload = self._ask("write", key, open_writer)
        parts = _Parts(upload, lambda call: self._ask("write", key, call))
        yield parts  # left by an exception, the upload is never completed, and nothing is there
        self._ask("write", key, lambda _store: upload.close())

    def walk(self, prefix: str = "") -> Iterator[Entry]:
        """See `Storage.walk`."""
        pages = self._ask(
            "list", prefix, lambda store: obstore.list(store, prefix.rstrip("/") or None, chunk_size=1000)
        )
        while page := self._ask("list", prefix, lambda _store: next(pages, None)):
            for meta in page:
                if meta["path"].startswith(prefix):
                    yield Entry(meta["path"], meta["size"])

    def folder(self, prefix: str = "") -> tuple[list[str], list[Entry]]:
        """See `Storage.folder`."""
        folder = prefix.rstrip("/") or None
        found: Any = self._ask("list", prefix, lambda store: obstore.list_with_delimiter(store, folder))
        names = sorted(path.rsplit("/", 1)[-1] for path in found["common_prefixes"])
        # the marker that consoles leave for a folder ("etl/", empty) comes back as an object of the folder's own name
        entries = [Entry(meta["path"], meta["size"]) for meta in found["objects"] if meta["path"].startswith(prefix)]
        entries = [entry for entry in entries if entry.size or entry.key.rsplit("/", 1)[-1] not in names]
        return names, sorted(entries, key=lambda entry: entry.key)

    def _told(self, what: str, key: str, error: Exception) -> RunnerError:
        """Say what an exception of obstore means for a person who wanted to read, write or list a key."""
        text, where = str(error), self.url(key)
        if isinstance(error, FileNotFoundError) or "404 Not Found" in text:
            if _NO_BUCKET.search(text):
                return BucketMissing(f"there is no bucket {self.url('')}", hint="Check its name and the account.")
            return NotFound(f"there is no object {where}")
        if isinstance(error, exceptions.AlreadyExistsError):
            return AlreadyExists(f"{where} exists already", hint="Choose another key.")
        if (code := _WRONG_KEYS.search(text)) or isinstance(error, exceptions.UnauthenticatedError):
            reason = code[0] if code else _first_line(error)
            hint = "Check the clock of this machine." if reason == "RequestTimeTooSkewed" else "Check the keys in use."
            return CredentialsRefused(f"{self.url('')} refused the credentials: {reason}", hint=hint)
        if isinstance(error, exceptions.PermissionDeniedError) or "403 Forbidden" in text:
            if _NO_KEYS.search(text):
                return self._no_credentials()
            return Denied(f"not allowed to {what} {where}", hint=_permission(self.scheme, what))
        if re.search(
            r"operation timed out|deadline has elapsed|timed out|body from connection", text
        ) and not re.search(r"client error \(Connect\)|tcp connect", text):
            return TooSlow(
                f"{where}: no answer within {READ_TIMEOUT.total_seconds():.0f} s to {what}", hint="Try again."
            )
        if re.search(r"error sending request|client error \(Connect\)|dns error", text):
            if _NO_KEYS.search(text):
                return self._no_credentials()
            hint = "Check the endpoint's address, the network and the proxy."
            return Unreachable(f"{self.url('')} cannot be reached: {_cause(text)}", hint=hint)
        failed = WriteFailed if what == "write" else ReadFailed
        return failed(f"{what} {where} failed: {_first_line(error)}", hint="Try again; if it stays, ask the provider.")

    def _no_credentials(self) -> CredentialsRefused:
        hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a secret AWS_CREDENTIALS in RUNNER_SECRETS."
        return CredentialsRefused(f"no credentials for {self.url('')} found", hint=hint)


class _Parts:
    """Feeds an upload part by part, so that a large buffer is never copied as a whole."""

    def __init__(self, upload: Any, ask: Callable[[Callable[[Any], object]], object]) -> None:  # noqa: ANN401
        self._upload, self._ask = upload, ask

    def write(self, data: memoryview | bytes) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            part = view[start : start + CHUNK]
            self._ask(lambda _store, part=part: self._upload.write(part))


def _certificates(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"the certificates {path} cannot be read: {error.strerror}"
        raise EnvironmentWrong(message, hint="Correct AWS_CA_BUNDLE or SSL_CERT_FILE, or mount the file.") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:300]


def _cause(text: str) -> str:
    """Find the system's own words in obstore's: ``Connection refused``, ``dns error`` and their like."""
    found = re.findall(r'message: "([^"]+)"|(dns error[^"\n]*)|(tcp connect error[^"\n]*)', text)
    return next((part for match in reversed(found) for part in match if part), _first_line(Exception(text)))


def _permission(scheme: str, what: str) -> str:
    if scheme == "azure":
        return "Give the identity the role Storage Blob Data Contributor."
    needed = {"read": "s3:GetObject", "write": "s3:PutObject", "list": "s3:ListBucket"}[what]
    either = (
        " Without s3:ListBucket this is also what S3 answers when there is no such object." if what == "read" else ""
    )
    return f"Give the identity {needed}.{either}"
