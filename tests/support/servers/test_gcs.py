"""Both stand-ins for Google Cloud Storage, as Google's own SDK sees them, and where only one does as Google says."""

import contextlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google.api_core.exceptions
import google.cloud.storage
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage.exceptions import InvalidResponse

from support.servers import Server, request
from support.servers.fake_gcs import start_fake_gcs
from support.servers.gcs import make_bucket as make_gcs_bucket
from support.servers.gcs import start_gcs
from support.servers.sdk_checks import ODD_BODIES, ODD_KEYS, RACERS, race, torn_reads

STARTS = {"emulator": start_gcs, "fake-gcs-server": start_fake_gcs}
# What fake-gcs-server leaves out: preconditions but in a multipart upload, resumable uploads that break off or are
# cancelled, pages of 1,000, and what it is that is not there. Google has them:
# https://cloud.google.com/storage/docs/request-preconditions, performing-resumable-uploads, json_api/v1/objects/list
as_google_documents = pytest.mark.parametrize("gcs", ["emulator"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=STARTS)
def gcs(request: pytest.FixtureRequest) -> Iterator[Server]:
    with STARTS[request.param]() as server:
        make_gcs_bucket(server, "bucket")
        yield server


@pytest.fixture(scope="module")
def gcs_client(gcs: Server) -> Iterator[google.cloud.storage.Client]:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=RACERS))
    with session:
        yield google.cloud.storage.Client(
            project="test",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": gcs.url},
            _http=session,
        )


@pytest.fixture(scope="module")
def bucket(gcs_client: google.cloud.storage.Client) -> Any:
    return gcs_client.bucket("bucket")


def test_the_environment_is_all_that_the_sdk_needs(gcs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in gcs.environ.items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(google.cloud.storage.Client()) as client:
        client.bucket("bucket").blob("environment").upload_from_string(b"found")
        assert client.bucket("bucket").blob("environment").download_as_bytes() == b"found"


def test_a_second_creation_fails(bucket: Any) -> None:
    bucket.blob("once").upload_from_string(b"first", if_generation_match=0)
    with pytest.raises(google.api_core.exceptions.PreconditionFailed, match="412"):
        bucket.blob("once").upload_from_string(b"second", if_generation_match=0)
    assert bucket.blob("once").download_as_bytes() == b"first"


def test_of_many_creations_one_wins(bucket: Any) -> None:
    for key in ("race-1", "race-2", "race-3"):

        def create(content: bytes, key: str = key) -> None:
            bucket.blob(key).upload_from_string(content, if_generation_match=0)

        winners = race(create, google.api_core.exceptions.PreconditionFailed)
        assert [bucket.blob(key).download_as_bytes()] == winners


@as_google_documents
def test_of_many_resumable_creations_one_wins(bucket: Any) -> None:
    def create(content: bytes) -> None:
        with bucket.blob("resumable").open("wb", if_generation_match=0, chunk_size=256 * 1024) as file:
            file.write(content * 10)

    winners = race(create, InvalidResponse)
    with bucket.blob("resumable").open("rb") as file:
        assert [file.read()] == [content * 10 for content in winners]


@as_google_documents
def test_a_simple_upload_may_be_a_creation(gcs: Server) -> None:
    url = f"{gcs.url}/upload/storage/v1/b/bucket/o?uploadType=media&name=media&ifGenerationMatch=0"
    assert request("POST", url, b"[1, 2]")[0] == 200
    status, body = request("POST", url, b"[3]")
    assert (status, b"conditionNotMet" in body) == (412, True)
    assert request("GET", f"{gcs.url}/storage/v1/b/bucket/o/media?alt=media") == (200, b"[1, 2]")


def test_a_generation_may_be_replaced_once(bucket: Any) -> None:
    blob = bucket.blob("generations")
    blob.upload_from_string(b"first")
    first = blob.generation
    bucket.blob("generations").upload_from_string(b"second", if_generation_match=first)
    with pytest.raises(google.api_core.exceptions.PreconditionFailed):
        bucket.blob("generations").upload_from_string(b"third", if_generation_match=first)
    with pytest.raises(google.api_core.exceptions.NotFound):
        bucket.blob("generations", generation=first).download_as_bytes()


def test_a_reader_sees_one_whole_content(bucket: Any) -> None:
    # The client compares the checksum that comes with the bytes, too.
    assert not torn_reads(
        lambda content: bucket.blob("torn").upload_from_string(content),
        lambda: bytes(bucket.blob("torn").download_as_bytes()),
    )


def test_an_upload_is_invisible_until_its_last_byte(bucket: Any) -> None:
    with bucket.blob("late").open("wb", chunk_size=256 * 1024) as file:
        file.write(b"x" * 600_000)
        assert not bucket.blob("late").exists()
    assert bucket.blob("late").size is None
    assert bucket.get_blob("late").size == 600_000


def test_an_abandoned_upload_leaves_nothing(bucket: Any) -> None:
    file = bucket.blob("abandoned").open("wb", chunk_size=256 * 1024)
    file.write(b"x" * 600_000)
    file.terminate()
    assert not bucket.blob("abandoned").exists()


@as_google_documents
def test_a_cancelled_upload_is_gone(bucket: Any) -> None:
    url = bucket.blob("cancelled").create_resumable_upload_session(size=6)
    assert requests.delete(url, timeout=5).status_code == 499
    assert requests.put(url, b"abcdef", timeout=5).status_code == 404
    assert not bucket.blob("cancelled").exists()


@as_google_documents
def test_an_interrupted_upload_goes_on_and_repeats_its_answer(bucket: Any) -> None:
    url = bucket.blob("broken").create_resumable_upload_session(size=6)
    put = requests.Session().put
    status = {"Content-Range": "bytes */6"}
    fresh = put(url, headers=status)
    assert (fresh.status_code, "Range" in fresh.headers) == (308, False)
    half = put(url, b"abc", headers={"Content-Range": "bytes 0-2/6"})
    assert (half.status_code, half.headers["Range"]) == (308, "bytes=0-2")
    whole = put(url, b"bcdef", headers={"Content-Range": "bytes 1-5/6"})
    assert (whole.status_code, whole.json()["size"]) == (200, "6")
    assert put(url, headers=status).json() == whole.json()
    assert bucket.blob("broken").download_as_bytes() == b"abcdef"


def test_many_chunks_take_no_longer_than_their_bytes(bucket: Any) -> None:
    megabyte = os.urandom(1 << 20)
    with bucket.blob("large").open("wb", chunk_size=1 << 20, if_generation_match=0) as file:
        for _ in range(64):
            file.write(megabyte)
    with bucket.blob("large").open("rb") as file:
        file.seek((64 << 20) - 5)
        assert file.read() == megabyte[-5:]
    bucket.delete_blob("large")


@as_google_documents
def test_a_listing_has_pages_and_folders(gcs_client: google.cloud.storage.Client, gcs: Server) -> None:
    names = [f"many/{number:04}/x" for number in range(1003)]
    url = f"{gcs.url}/upload/storage/v1/b/bucket/o?uploadType=media&name="
    with ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(lambda name: request("POST", url + name, b"")[0], names))
    assert set(answers) == {200}
    everything = gcs_client.list_blobs("bucket", prefix="many/")
    assert [len(list(page)) for page in everything.pages] == [1000, 3]
    assert [blob.name for blob in gcs_client.list_blobs("bucket", prefix="many/", page_size=400)] == names
    folders = gcs_client.list_blobs("bucket", prefix="many/", delimiter="/", page_size=400)
    assert not list(folders)
    assert sorted(folders.prefixes) == [name.removesuffix("x") for name in names]
    assert len(list(gcs_client.list_blobs("bucket", prefix="many/", max_results=7))) == 7


@pytest.mark.parametrize("key", [*ODD_KEYS, "a//b", "..", "../x", "a\\b", "/lead", "trail/"])
def test_a_key_is_taken_as_it_is(bucket: Any, key: str) -> None:
    bucket.blob(f"odd/{key}").upload_from_string(key.encode())
    assert bucket.blob(f"odd/{key}").download_as_bytes() == key.encode()
    assert f"odd/{key}" in [blob.name for blob in bucket.list_blobs(prefix="odd/")]


@pytest.mark.parametrize("body", ODD_BODIES)
@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
def test_a_body_is_taken_as_it_is(bucket: Any, body: bytes, kind: str) -> None:
    bucket.blob("body").upload_from_string(body, content_type=kind)
    assert bucket.blob("body").download_as_bytes() == body
    bucket.blob("body").upload_from_file(io.BytesIO(body), content_type=kind)
    assert bucket.blob("body").download_as_bytes() == body


def test_a_range_is_a_part(bucket: Any) -> None:
    bucket.blob("range").upload_from_string(b"0123456789")
    blob = bucket.blob("range")
    assert blob.download_as_bytes(start=2, end=4) == b"234"
    assert blob.download_as_bytes(start=7) == b"789"
    assert blob.download_as_bytes(start=-3) == b"789"
    with pytest.raises(google.api_core.exceptions.RequestRangeNotSatisfiable):
        blob.download_as_bytes(start=10)


@as_google_documents
def test_an_error_tells_a_missing_bucket_from_a_missing_object(gcs_client: google.cloud.storage.Client) -> None:
    for ask in ("download_as_bytes", "reload", "delete"):
        with pytest.raises(google.api_core.exceptions.NotFound, match="No such object: bucket/none"):
            getattr(gcs_client.bucket("bucket").blob("none"), ask)()
        with pytest.raises(google.api_core.exceptions.NotFound, match="bucket does not exist"):
            getattr(gcs_client.bucket("nowhere").blob("none"), ask)()
    with pytest.raises(google.api_core.exceptions.NotFound, match="bucket does not exist"):
        gcs_client.bucket("nowhere").blob("none").upload_from_string(b"")
