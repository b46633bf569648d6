"""Azurite, the Azure Blob Storage emulator of its own vendor."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import HOST, Server, ServerError, spawn

_PROGRAM = Path(__file__).parents[2] / "node_modules" / ".bin" / "azurite-blob"
# Published, and the same in every emulator: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def _command(port: int, folder: Path) -> Sequence[str]:
    del folder  # it is the working directory, and --location excludes --inMemoryPersistence
    return [
        *("node", str(_PROGRAM), "--blobHost", HOST, "--blobPort", str(port)),
        *("--inMemoryPersistence", "--skipApiVersionCheck", "--silent"),
        # By default it reports to its vendor.
        "--disableTelemetry",
    ]


@contextlib.contextmanager
def start_azurite() -> Iterator[Server]:
    """Blob storage with nothing in it, kept in memory."""
    if not _PROGRAM.exists():
        message = f"{_PROGRAM} is missing: run `npm ci --prefix tests`"
        raise ServerError(message)
    with spawn(_command) as url:
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={url}/{_ACCOUNT};"
        )
        yield Server(url, {"AZURE_STORAGE_CONNECTION_STRING": connection})


def make_container(server: Server, name: str) -> None:
    """Create the container `name`."""
    from azure.storage.blob import BlobServiceClient

    connection = server.environ["AZURE_STORAGE_CONNECTION_STRING"]
    with BlobServiceClient.from_connection_string(connection) as client:
        client.create_container(name)
