"""A fresh root in each storage, and the cloud's own SDK as the referee of what lies in it."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import boto3
from azure.storage.blob import BlobServiceClient, generate_container_sas
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from runner.backends import open_storage
from runner.location import parse_location
from runner.secrets.named import resolve
from support.servers import azurite, gcs, moto

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runner.backends.base import Storage
    from support.servers import Server


@dataclass(frozen=True)
class Place:
    """A root's URL, the environment that opens it, and what the SDK reads, writes and lists there by full key.

    Full keys are those below the bucket, container or folder: ``etl/runs/…``.
    """

    word: str  # as in RUNNER_STORAGE
    url: str
    environ: dict[str, str]
    read: Callable[[str], bytes]
    write: Callable[[str, bytes], object]
    keys: Callable[[], list[str]]
    media_type: Callable[[str], str | None] = lambda _key: None  # as what a browser gets it

    def open(self, patience: float | None = None) -> Storage:
        location = parse_location(self.url).as_root()
        return open_storage(location, resolve((), self.environ), self.environ, patience=patience)


def local_place(root: Path) -> Place:
    root.mkdir(parents=True)

    def write(key: str, data: bytes) -> None:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return Place(
        "local",
        root.as_uri(),
        {},
        lambda key: (root / key).read_bytes(),
        write,
        lambda: sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()),
    )


def s3_place(server: Server) -> Place:
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    moto.make_bucket(server, bucket)
    environ = server.environ
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        region_name=environ["AWS_REGION"],
    )

    def keys() -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    return Place(
        "s3",
        f"s3://{bucket}",
        environ,
        lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read(),
        lambda key, data: client.put_object(Bucket=bucket, Key=key, Body=data),
        keys,
        lambda key: client.head_object(Bucket=bucket, Key=key)["ContentType"],
    )


def gcs_place(server: Server) -> Place:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    gcs.make_bucket(server, name)
    client = google_storage.Client(
        project="test", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.url}
    )
    bucket = client.bucket(name)
    return Place(
        "gcs",
        f"gs://{name}",
        server.environ,
        lambda key: bucket.blob(key).download_as_bytes(),
        lambda key, data: bucket.blob(key).upload_from_string(data),
        lambda: sorted(blob.name for blob in client.list_blobs(name)),
        lambda key: bucket.get_blob(key).content_type,
    )


def azure_place(server: Server) -> Place:
    name = f"container-{uuid.uuid4().hex[:12]}"
    azurite.make_container(server, name)
    service = BlobServiceClient.from_connection_string(server.environ["AZURE_STORAGE_CONNECTION_STRING"])
    container = service.get_container_client(name)
    return Place(
        "azure",
        f"azure://{name}",
        server.environ,
        lambda key: container.download_blob(key).readall(),
        lambda key, data: container.upload_blob(key, data, overwrite=True),
        lambda: sorted(container.list_blob_names()),
        lambda key: container.get_blob_client(key).get_blob_properties().content_settings.content_type,
    )


def unsigned(place: Place) -> Place:
    """The same container opened with a SAS: an account's key signs the header that is to be lost."""
    if place.word != "azure":
        return place
    values = dict(part.split("=", 1) for part in place.environ["AZURE_STORAGE_CONNECTION_STRING"].split(";") if part)
    sas = generate_container_sas(
        values["AccountName"],
        parse_location(place.url).container,
        account_key=values["AccountKey"],
        permission="rwcl",
        expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
    )
    text = f"BlobEndpoint={values['BlobEndpoint']};SharedAccessSignature={sas}"
    return replace(place, environ={"AZURE_STORAGE_CONNECTION_STRING": text})


def memory_place() -> Place:
    """A bucket in this process's memory, which must know the backend; see `support.memory.registered`."""
    from support.memory.storage import BUCKETS, LOCK

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    objects = BUCKETS.setdefault(name, {})

    def write(key: str, data: bytes) -> None:
        with LOCK:
            objects[key] = data, time.time()

    return Place(
        "memory",
        f"memory://{name}",
        {},
        lambda key: objects[key][0],
        write,
        lambda: sorted(objects),
    )
