"""The GCS emulator, behind the layer of `gcs_layer.py` that makes it keep GCS's promises."""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

from . import Server, ServerError, request, spawn


def _command(port: int, folder: Path) -> Sequence[str]:
    del folder
    return [sys.executable, "-P", str(Path(__file__).with_name("gcs_layer.py")), str(port)]


@contextlib.contextmanager
def start_gcs() -> Iterator[Server]:
    """GCS's JSON API with no bucket in it, kept in memory; it asks for no credentials."""
    with spawn(_command) as url:
        yield Server(url, {"STORAGE_EMULATOR_HOST": url, "GOOGLE_CLOUD_PROJECT": "test"})


def make_bucket(server: Server, name: str) -> None:
    """Create the bucket `name`."""
    status, body = request("POST", f"{server.url}/storage/v1/b?project=test", json.dumps({"name": name}).encode())
    if status != HTTPStatus.OK:
        message = f"bucket {name} was not created: {status} {body!r}"
        raise ServerError(message)
