"""Azurite, as Azure's own SDK sees it."""

from collections.abc import Iterator
from itertools import chain

import azure.core.exceptions
import pytest
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient

from support.servers.azurite import make_container, start_azurite
from support.servers.sdk_checks import ODD_KEYS, race, torn_reads


@pytest.fixture(scope="module")
def container() -> Iterator[ContainerClient]:
    with start_azurite() as server:
        make_container(server, "container")
        connection = server.environ["AZURE_STORAGE_CONNECTION_STRING"]
        with BlobServiceClient.from_connection_string(connection) as service:
            yield service.get_container_client("container")


def test_of_many_creations_one_wins(container: ContainerClient) -> None:
    for key in ("race-1", "race-2", "race-3"):
        blob = container.get_blob_client(key)
        winners = race(blob.upload_blob, azure.core.exceptions.ResourceExistsError)
        assert [blob.download_blob().readall()] == winners


def test_a_reader_sees_one_whole_content(container: ContainerClient) -> None:
    blob = container.get_blob_client("torn")
    assert not torn_reads(
        lambda content: blob.upload_blob(content, overwrite=True), lambda: bytes(blob.download_blob().readall())
    )


def test_a_list_of_blocks_may_be_a_creation(container: ContainerClient) -> None:
    blob = container.get_blob_client("blocks")
    blob.stage_block("MQ==", b"first")
    blob.commit_block_list([BlobBlock("MQ==")], match_condition=azure.core.MatchConditions.IfMissing)
    blob.stage_block("MQ==", b"second")
    with pytest.raises(azure.core.exceptions.ResourceExistsError):
        blob.commit_block_list([BlobBlock("MQ==")], match_condition=azure.core.MatchConditions.IfMissing)
    assert blob.download_blob().readall() == b"first"


def test_a_listing_has_pages_and_folders(container: ContainerClient) -> None:
    names = [f"many/{number:04}/x" for number in range(12)]
    for name in names:
        container.upload_blob(name, b"")
    pages = container.walk_blobs("many/", delimiter="/", results_per_page=5).by_page()
    found = [[folder.name for folder in page] for page in pages]
    assert [len(page) for page in found] == [5, 5, 2]
    assert list(chain.from_iterable(found)) == [name.removesuffix("x") for name in names]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_is_taken_as_it_is(container: ContainerClient, key: str) -> None:
    container.upload_blob(f"odd/{key}", key.encode(), overwrite=True)
    assert container.download_blob(f"odd/{key}").readall() == key.encode()
    assert f"odd/{key}" in list(container.list_blob_names(name_starts_with="odd/"))
