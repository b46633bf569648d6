"""Google Cloud Storage through Google's own library, whose emulators users test with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

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
from runner.storage.declared import Declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runner.credentials import Credentials
    from runner.storage.base import Writer

T = TypeVar("T")

DEADLINE = 8.0  # seconds in which a retry may begin; the library's own is 120
TIMEOUT = (3.0, 30.0)  # seconds to connect, and without a byte


class GCS(Declared):
    """A bucket of Google Cloud Storage."""

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        key: str | None = None,
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        """Take the bucket and a prefix below which everything lies. See `Declared` for the rest."""
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @property
    def url(self) -> str:
        """See `Declared.url`."""
        return f"gs://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def default_labels(self) -> tuple[str, ...]:
        """See `Declared.default_labels`."""
        return ("gcs-flow-storage",)


def open_gcs(bucket: str, credentials: Credentials, environ: Mapping[str, str]) -> GCSStorage:
    """Open a bucket.

    Credentials: none for an emulator (``STORAGE_EMULATOR_HOST``), else the secret ``GCP_CREDENTIALS``, else what
    Google's own library finds. Needs the role "Storage Object User". Raises CredentialsRefused and EnvironmentWrong.
    """
    try:
        from google.auth import exceptions
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage
        from google.oauth2 import service_account
    except ImportError as error:
        message = f"gs://{bucket} needs google-cloud-storage, which is not installed"
        raise EnvironmentWrong(message, hint="Use the gcp image, or pip install 'flow-runner[gcp]'.") from error
    project = environ.get("GOOGLE_CLOUD_PROJECT")
    options: dict[str, Any] = {"project": project or "none"}  # only buckets belong to one, and none is made here
    emulator = environ.get("STORAGE_EMULATOR_HOST")
    try:
        if emulator:
            endpoint = emulator if "://" in emulator else f"http://{emulator}"
            options |= {"credentials": AnonymousCredentials(), "client_options": {"api_endpoint": endpoint}}
        elif secret := credentials.gcp():
            scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
            options["credentials"] = service_account.Credentials.from_service_account_info(secret, scopes=scopes)
        return GCSStorage(storage.Client(**options).bucket(bucket))
    except exceptions.DefaultCredentialsError as error:
        message = f"no credentials for gs://{bucket} found: {_first_line(error)}"
        hint = "Set GOOGLE_APPLICATION_CREDENTIALS, or name a secret GCP_CREDENTIALS in RUNNER_SECRETS."
        raise CredentialsRefused(message, hint=hint) from error
    except ValueError as error:
        message = f"the credentials for gs://{bucket} cannot be used: {_first_line(error)}"
        raise CredentialsRefused(message, hint="Use the service account's JSON key as Google gave it.") from error


class GCSStorage(Storage):
    """See `Storage`; ``bucket`` is the library's own."""

    def __init__(self, bucket: Any) -> None:  # noqa: ANN401 - the library has no types
        """Take the library's bucket."""
        super().__init__("gs", bucket.name)
        self._bucket = bucket

    def _ask(self, what: str, key: str, call: Callable[[dict[str, Any]], T]) -> T:
        """Make one call with our timeouts and retries, and turn what fails into our errors."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        try:
            return call({"timeout": TIMEOUT, "retry": DEFAULT_RETRY.with_timeout(DEADLINE)})
        except RunnerError:
            raise
        except Exception as error:
            raise self._told(what, key, error) from error

    def _stream(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        blob = self._bucket.blob(key, chunk_size=CHUNK)
        end = None if length is None else offset + length
        if length == 0:
            return
        while end is None or offset < end:
            last = offset + CHUNK - 1 if end is None else min(offset + CHUNK, end) - 1
            chunk = self._ask("read", key, self._range(blob, offset, last))
            if chunk:
                yield chunk
            offset += len(chunk)
            if len(chunk) < CHUNK:
                return

    def _range(self, blob: Any, first: int, last: int) -> Callable[[dict[str, Any]], bytes]:  # noqa: ANN401
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        def read(options: dict[str, Any]) -> bytes:
            try:
                # a change between two ranges would join two objects: the generation of the first holds for the rest
                data: bytes = blob.download_as_bytes(
                    start=first, end=last, if_generation_match=blob.generation if first else None, **options
                )
            except RequestRangeNotSatisfiable:
                return b""
            return data

        return read

    def _create(self, key: str, data: bytes) -> None:
        blob = self._bucket.blob(key)
        self._ask("write", key, lambda options: blob.upload_from_string(data, if_generation_match=0, **options))

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        blob = self._bucket.blob(key)
        upload = self._ask("write", key, lambda options: blob.open("wb", chunk_size=CHUNK, **options))
        parts = _Parts(upload, lambda call: self._ask("write", key, lambda _options: call()))
        try:
            yield parts
        except BaseException:
            upload._buffer.close()  # noqa: SLF001 - close() would finish the upload, and there is no public way not to
            raise
        self._ask("write", key, lambda _options: upload.close())

    def walk(self, prefix: str = "") -> Iterator[Entry]:
        """See `Storage.walk`."""
        found = self._ask("list", prefix, lambda options: iter(self._bucket.list_blobs(prefix=prefix, **options)))
        while blob := self._ask("list", prefix, lambda _options: next(found, None)):
            if not blob.name.endswith("/"):
                yield Entry(blob.name, blob.size)

    def folder(self, prefix: str = "") -> tuple[list[str], list[Entry]]:
        """See `Storage.folder`."""

        def ask(options: dict[str, Any]) -> tuple[list[str], list[Entry]]:
            found = self._bucket.list_blobs(prefix=prefix, delimiter="/", **options)
            entries = [Entry(blob.name, blob.size) for blob in found if not blob.name.endswith("/")]
            names = sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found.prefixes)
            return names, sorted(entries, key=lambda entry: entry.key)

        return self._ask("list", prefix, ask)

    def _told(self, what: str, key: str, error: Exception) -> RunnerError:
        """Say what an exception of Google's libraries means for a person who wanted to read, write or list a key."""
        import requests
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError, TransportError

        where, cause = self.url(key), error
        if isinstance(error, exceptions.RetryError) and error.cause is not None:
            cause = error.cause
        if isinstance(cause, exceptions.NotFound):
            if "bucket" in str(cause).lower() and "object" not in str(cause).lower():
                return BucketMissing(f"there is no bucket {self.url('')}", hint="Check its name and the project.")
            return NotFound(f"there is no object {where}")
        if isinstance(cause, exceptions.PreconditionFailed):
            return AlreadyExists(f"{where} exists already", hint="Choose another key.")
        if isinstance(cause, exceptions.Forbidden):
            needed = {"read": "objects.get", "write": "objects.create", "list": "objects.list"}[what]
            return Denied(f"not allowed to {what} {where}", hint=f"Give the identity storage.{needed}.")
        if isinstance(cause, requests.exceptions.ReadTimeout | TimeoutError):
            return TooSlow(f"{where}: no answer within {TIMEOUT[1]:.0f} s to {what}", hint="Try again.")
        if isinstance(cause, requests.exceptions.ConnectionError | TransportError | ConnectionError):
            hint = "Check the endpoint's address, the network and the proxy."
            return Unreachable(f"{self.url('')} cannot be reached: {_first_line(cause)}", hint=hint)
        if isinstance(cause, GoogleAuthError | exceptions.Unauthorized):
            message = f"{self.url('')} refused the credentials: {_first_line(cause)}"
            return CredentialsRefused(message, hint="Check the key in use.")
        failed = WriteFailed if what == "write" else ReadFailed
        return failed(f"{what} {where} failed: {_first_line(cause)}", hint="Try again; if it stays, ask the provider.")


class _Parts:
    """Feeds an upload part by part, so that a large buffer is never copied as a whole."""

    def __init__(self, upload: Any, ask: Callable[[Callable[[], object]], object]) -> None:  # noqa: ANN401
        self._upload, self._ask = upload, ask

    def write(self, data: memoryview | bytes) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            part = view[start : start + CHUNK]
            self._ask(lambda part=part: self._upload.write(part))  # type: ignore[misc]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]
