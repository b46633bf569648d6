"""What the tests of the contract share: a place to write in, faults before it, and every way to use a storage."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.backends import object_store, retry
from runner.backends.gcp import gcs
from runner.location import parse_location
from support.places import Place
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from runner.backends.base import Storage

AMBIENT = dict(os.environ)  # before the autouse fixture clears it
REAL = {
    word: AMBIENT[f"RUNNER_TEST_{word.upper()}"]
    for word in ("s3", "gcs", "azure")
    if AMBIENT.get(f"RUNNER_TEST_{word.upper()}")
}
REAL_BUCKETS = [f"real-{word}" for word in REAL]
CLOUDS = ["s3", "gcs", "fake-gcs", "azure"]
BACKENDS = ["local", *CLOUDS, "memory"]
MB = 1024 * 1024
METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE"]
# How each cloud is asked to create the object ``lost``: the method, and words in the path.
CREATES = {"s3": ("PUT", "lost"), "azure": ("PUT", "lost"), "gcs": ("POST", "uploadType=multipart")}
DENIALS = {
    "s3": b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    "gcs": b'{"error": {"code": 403, "message": "x does not have storage.objects.get access to the object."}}',
    "azure": b"<Error><Code>AuthorizationPermissionMismatch</Code></Error>",
}
REFUSALS = {
    "s3": (403, b"<Error><Code>InvalidAccessKeyId</Code><Message>It does not exist</Message></Error>"),
    "gcs": (401, b'{"error": {"code": 401, "message": "Invalid Credentials"}}'),
    "azure": (403, b"<Error><Code>AuthenticationFailed</Code><Message>Server failed</Message></Error>"),
}
MISSING = {
    "s3": b"<Error><Code>NoSuchBucket</Code></Error>",
    "gcs": b'{"error": {"code": 404, "message": "The specified bucket does not exist."}}',
    "azure": b"<Error><Code>ContainerNotFound</Code></Error>",
}


@dataclass(frozen=True)
class Root:
    """A place, and below which prefix a test may write there."""

    place: Place
    prefix: str = ""

    def open(self) -> Storage:
        return self.place.open()

    def keys(self) -> list[str]:
        return [key.removeprefix(self.prefix) for key in self.place.keys() if key.startswith(self.prefix)]  # noqa: SIM118

    def read(self, name: str) -> bytes:
        return self.place.read(self.prefix + name)

    def write(self, name: str, data: bytes) -> None:
        self.place.write(self.prefix + name, data)


def real_place(word: str, url: str, name: str, prefix: str) -> tuple[Place, Callable[[str], object]]:
    """A real bucket as its SDK sees it with this machine's own credentials, and how to remove an object."""
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], object]
    keys: Callable[[], list[str]]
    remove: Callable[[str], object]
    if word == "s3":
        import boto3

        objects = boto3.resource("s3").Bucket(name)
        read = lambda key: objects.Object(key).get()["Body"].read()  # noqa: E731
        write = lambda key, data: objects.put_object(Key=key, Body=data)  # noqa: E731
        keys = lambda: sorted(one.key for one in objects.objects.filter(Prefix=prefix))  # noqa: E731
        remove = lambda key: objects.Object(key).delete()  # noqa: E731
    elif word == "gcs":
        from google.cloud import storage

        bucket = storage.Client().bucket(name)
        read = lambda key: bucket.blob(key).download_as_bytes()  # noqa: E731
        write = lambda key, data: bucket.blob(key).upload_from_string(data)  # noqa: E731
        keys = lambda: sorted(blob.name for blob in bucket.list_blobs(prefix=prefix))  # noqa: E731
        remove = lambda key: bucket.blob(key).delete()  # noqa: E731
    else:
        from azure.storage.blob import ContainerClient

        container = ContainerClient.from_connection_string(AMBIENT["AZURE_STORAGE_CONNECTION_STRING"], name)
        read = lambda key: container.download_blob(key).readall()  # noqa: E731
        write = lambda key, data: container.upload_blob(key, data, overwrite=True)  # noqa: E731
        keys = lambda: sorted(container.list_blob_names(name_starts_with=prefix))  # noqa: E731
        remove = container.delete_blob
    return Place(word, url, AMBIENT, read, write, keys), remove


def upload_in_parts(root: Root, name: str, data: bytes) -> None:
    """Write a large object as the cloud's own SDK writes large ones."""
    environ, container, key = root.place.environ, parse_location(root.place.url).container, root.prefix + name
    if root.place.word == "s3":
        import boto3
        from boto3.s3.transfer import TransferConfig

        client = boto3.client("s3", endpoint_url=environ.get("AWS_ENDPOINT_URL"))
        client.upload_fileobj(io.BytesIO(data), container, key, Config=TransferConfig(multipart_threshold=5 * MB))
    elif root.place.word == "gcs":
        from google.cloud import storage

        client = storage.Client()
        client.bucket(container).blob(key, chunk_size=5 * MB).upload_from_file(io.BytesIO(data))
    elif root.place.word == "azure":
        from azure.storage.blob import BlobClient

        BlobClient.from_connection_string(
            environ["AZURE_STORAGE_CONNECTION_STRING"], container, key, max_single_put_size=MB, max_block_size=5 * MB
        ).upload_blob(data)
    else:
        root.write(name, data)


def through(place: Place, port: int, upstream: str) -> Place:
    """The same place, reached by another port."""
    return replace(
        place, environ={name: value.replace(upstream, f"127.0.0.1:{port}") for name, value in place.environ.items()}
    )


def endpoint(place: Place) -> str:
    """``host:port`` of the emulator behind a place."""
    from urllib.parse import urlsplit

    text = place.environ.get("AWS_ENDPOINT_URL") or place.environ.get("STORAGE_EMULATOR_HOST")
    if not text:
        parts = dict(part.split("=", 1) for part in place.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if part)
        text = parts["BlobEndpoint"]
    return urlsplit(text).netloc


@contextlib.contextmanager
def relayed(place: Place, *faults: Fault) -> Iterator[tuple[Relay, Storage]]:
    """A storage that reaches the place's emulator through a relay with these faults."""
    upstream = endpoint(place)
    with Relay(f"http://{upstream}", *faults) as relay:
        yield relay, through(place, relay.port, upstream).open()


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat within an object, and differ by seed."""
    return b"".join(hashlib.sha256(b"%d %d" % (seed, at)).digest() for at in range(0, size, 32))[:size]


def without_retries(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let an answer take as long, and try for no longer."""
    monkeypatch.setattr(retry, "ANSWER_SECONDS", seconds)
    for module in (object_store, gcs):
        monkeypatch.setattr(module, "UPLOAD_SECONDS", seconds)
    monkeypatch.setattr(object_store, "PARTS_AT_ONCE", 0)  # a writer is as impatient
    impatient(monkeypatch, 0)


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let tries begin for so long."""
    for kind in (object_store.ObjectStorage, gcs.GCSStorage):
        monkeypatch.setattr(kind, "retry_seconds", seconds)


def write_all(storage: Storage, key: str, *parts: bytes) -> None:
    with storage.writer(key) as writer:
        for part in parts:
            writer.write(part)


def operations(storage: Storage, key: str) -> dict[str, Callable[[], object]]:
    """Every way to use a storage."""
    return {
        "read": lambda: storage.read(key),
        "create": lambda: storage.create(key, b"data"),
        "replace": lambda: storage.replace(key, b"data"),
        "write": lambda: write_all(storage, key, b"data"),
        "delete": lambda: storage.delete(key),
        "walk": lambda: list(storage.list_recursive(f"{key}/")),
        "folder": lambda: storage.list_folder(f"{key}/"),
    }
