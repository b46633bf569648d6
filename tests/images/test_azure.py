"""What holds in the image for Azure, and in those built on it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from support.containers import run_image
from support.servers.azurite import make_container

if TYPE_CHECKING:
    from support.servers import Server


CODE = """
import os, azure.identity
from azure.storage.blob import BlobServiceClient

service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
print([container.name for container in service.list_containers()])
"""


def test_azures_library_reaches_the_account(image: str, azurite: Server) -> None:
    make_container(azurite, name := f"container-{uuid.uuid4().hex[:12]}")
    done = run_image(image, "python", "-c", CODE, environ=azurite.environ)
    assert name in done.stdout, done
