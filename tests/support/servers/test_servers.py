"""The servers that the tests rest on do what they claim; each cloud's own SDK is the witness."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from threading import Barrier, Event
from typing import Any, Literal

import azure.core.exceptions
import boto3
import botocore.exceptions
import google.api_core.exceptions
import google.cloud.storage
import pytest
import requests
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage.exceptions import InvalidResponse

from support.servers import Server, ServerError, free_port, request, spawn
from support.servers.azurite import make_container, start_azurite
from support.servers.gcs import make_bucket as make_gcs_bucket
from support.servers.gcs import start_gcs
from support.servers.moto import make_bucket as make_s3_bucket
from support.servers.moto import start_moto
from support.servers.proxy import Passed, Proxy
from support.servers.s3_as_aws import Lost, S3AsAws

RACERS = 16
ODD_KEYS = ["100%", "%2F", "a b", "a+b", "q?x#y&z=1", "x/acl", "ü/日本"]
ODD_BODIES = [b"", b"{}", b"\r", b"\r\n\r\n", b"\n--x--\r\n", bytes(range(256)) * 99]


def s3_client(server: Server, **changes: Any) -> Any:
    environ = server.environ
    return boto3.client(
        "s3",
        **{
            "endpoint_url": server.url,
            "region_name": environ["AWS_REGION"],
            "aws_access_key_id": environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environ["AWS_SECRET_ACCESS_KEY"],
            "verify": environ.get("AWS_CA_BUNDLE"),
            "config": Config(
                retries={"total_max_attempts": 1}, max_pool_connections=RACERS, s3={"addressing_style": "path"}
            ),
            **changes,
        },
    )


def code_of(error: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def race(create: Callable[[bytes], object], lost: type[Exception] | tuple[type[Exception], ...]) -> list[bytes]:
    """What won, of as many creations at once as there are racers, each with a content of its own."""
    start = Barrier(RACERS)

    def run(number: int) -> bytes | None:
        content = b"%02d" % number * 20_000
        start.wait()
        try:
            create(content)
        except lost:
            return None
        return content

    with ThreadPoolExecutor(RACERS) as pool:
        return [content for content in pool.map(run, range(RACERS)) if content is not None]


def torn_reads(write: Callable[[bytes], object], read: Callable[[], bytes]) -> list[bytes]:
    """What readers saw that was never written as a whole, while two contents took turns."""
    contents = [b"a" * 700_000, b"b" * 500_000]
    done = Event()
    write(contents[0])

    def watch() -> list[bytes]:
        seen = []
        while not done.is_set():
            seen.append(read())
        return seen

    with ThreadPoolExecutor(3) as pool:
        watchers = [pool.submit(watch) for _ in range(3)]
        try:
            for number in range(12):
                write(contents[number % 2])
        finally:
            done.set()
    seen = [content for watcher in watchers for content in watcher.result()]
    assert seen
    return [content for content in seen if content not in contents]


@pytest.fixture(scope="module")
def s3_bucket() -> Iterator[Any]:
    with start_moto() as server:
        make_s3_bucket(server, "bucket")
        yield s3_client(server)


@pytest.fixture(scope="module")
def container() -> Iterator[ContainerClient]:
    with start_azurite() as server:
        make_container(server, "container")
        connection = server.environ["AZURE_STORAGE_CONNECTION_STRING"]
        with BlobServiceClient.from_connection_string(connection) as service:
            yield service.get_container_client("container")


@pytest.fixture(scope="module")
def gcs() -> Iterator[Server]:
    with start_gcs() as server:
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


def refuses(port: int, within: float) -> bool:
    """Whether nobody listens on `port` any more, or not so within as many seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            continue  # met in the moment of its death
    return False


class TestSpawn:
    def test_a_server_that_ends_at_once_shows_its_log(self) -> None:
        command = [sys.executable, "-c", "raise SystemExit('no license')"]
        with pytest.raises(ServerError, match="no license"), spawn(lambda _port, _folder: command):
            pass

    def test_a_silent_server_is_given_up_and_stopped(self) -> None:
        started: list[Path] = []

        def command(_port: int, folder: Path) -> list[str]:
            started.append(folder)
            return [sys.executable, "-c", "import signal; print('deaf', flush=True); signal.pause()"]

        with pytest.raises(ServerError, match="gave no answer"), spawn(command, deadline=0.3):
            pass
        assert not started[0].exists()

    def test_a_port_that_was_taken_in_between_is_replaced(self) -> None:
        ports: list[int] = []
        code = "raise OSError('Address already in use')"

        def command(port: int, _folder: Path) -> list[str]:
            ports.append(port)
            serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
            return serve if len(ports) > 1 else [sys.executable, "-c", code]

        with spawn(command) as url:
            assert url == f"http://127.0.0.1:{ports[1]}"

    def test_free_ports_are_on_offer(self) -> None:
        assert 0 < free_port() < 2**16

    def test_a_server_dies_with_a_killed_test_process(self, tmp_path: Path) -> None:
        code = (
            "import signal; from servers.gcs import start_gcs\n"
            "with start_gcs() as server: print(server.url, flush=True); signal.pause()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        with process.stdout:
            url = process.stdout.readline().decode().strip()
        assert request("GET", url)[0] == 200
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert refuses(int(url.rpartition(":")[2]), within=10)


class TestMoto:
    def test_of_many_creations_one_wins(self, s3_bucket: Any) -> None:
        for key in ("race-1", "race-2", "race-3"):

            def create(content: bytes, key: str = key) -> None:
                s3_bucket.put_object(Bucket="bucket", Key=key, Body=content, IfNoneMatch="*")

            winners = race(create, s3_bucket.exceptions.ClientError)
            assert [s3_bucket.get_object(Bucket="bucket", Key=key)["Body"].read()] == winners

    def test_a_reader_sees_one_whole_content(self, s3_bucket: Any) -> None:
        def write(content: bytes) -> None:
            s3_bucket.put_object(Bucket="bucket", Key="torn", Body=content)

        def read() -> bytes:
            content: bytes = s3_bucket.get_object(Bucket="bucket", Key="torn")["Body"].read()
            return content

        assert not torn_reads(write, read)

    def test_a_multipart_upload_may_be_a_creation(self, s3_bucket: Any) -> None:
        def create() -> None:
            where = {"Bucket": "bucket", "Key": "parts"}
            upload = s3_bucket.create_multipart_upload(**where)["UploadId"]
            part = s3_bucket.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
            parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
            s3_bucket.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )

        create()
        with pytest.raises(botocore.exceptions.ClientError) as error:
            create()
        assert code_of(error) == (412, "PreconditionFailed")

    def test_a_listing_has_pages_and_folders(self, s3_bucket: Any) -> None:
        names = [f"many/{number:04}/x" for number in range(12)]
        for name in names:
            s3_bucket.put_object(Bucket="bucket", Key=name)
        pages = s3_bucket.get_paginator("list_objects_v2").paginate(
            Bucket="bucket", Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 5}
        )
        found = [[folder["Prefix"] for folder in page.get("CommonPrefixes", [])] for page in pages]
        assert [len(page) for page in found] == [5, 5, 2]
        assert list(chain.from_iterable(found)) == [name.removesuffix("x") for name in names]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_key_is_taken_as_it_is(self, s3_bucket: Any, key: str) -> None:
        s3_bucket.put_object(Bucket="bucket", Key=f"odd/{key}", Body=key.encode())
        assert s3_bucket.get_object(Bucket="bucket", Key=f"odd/{key}")["Body"].read() == key.encode()
        listed = s3_bucket.list_objects_v2(Bucket="bucket", Prefix="odd/")["Contents"]
        assert f"odd/{key}" in [one["Key"] for one in listed]


class TestAzurite:
    def test_of_many_creations_one_wins(self, container: ContainerClient) -> None:
        for key in ("race-1", "race-2", "race-3"):
            blob = container.get_blob_client(key)
            winners = race(blob.upload_blob, azure.core.exceptions.ResourceExistsError)
            assert [blob.download_blob().readall()] == winners

    def test_a_reader_sees_one_whole_content(self, container: ContainerClient) -> None:
        blob = container.get_blob_client("torn")
        assert not torn_reads(
            lambda content: blob.upload_blob(content, overwrite=True), lambda: bytes(blob.download_blob().readall())
        )

    def test_a_list_of_blocks_may_be_a_creation(self, container: ContainerClient) -> None:
        blob = container.get_blob_client("blocks")
        blob.stage_block("MQ==", b"first")
        blob.commit_block_list([BlobBlock("MQ==")], match_condition=azure.core.MatchConditions.IfMissing)
        blob.stage_block("MQ==", b"second")
        with pytest.raises(azure.core.exceptions.ResourceExistsError):
            blob.commit_block_list([BlobBlock("MQ==")], match_condition=azure.core.MatchConditions.IfMissing)
        assert blob.download_blob().readall() == b"first"

    def test_a_listing_has_pages_and_folders(self, container: ContainerClient) -> None:
        names = [f"many/{number:04}/x" for number in range(12)]
        for name in names:
            container.upload_blob(name, b"")
        pages = container.walk_blobs("many/", delimiter="/", results_per_page=5).by_page()
        found = [[folder.name for folder in page] for page in pages]
        assert [len(page) for page in found] == [5, 5, 2]
        assert list(chain.from_iterable(found)) == [name.removesuffix("x") for name in names]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_key_is_taken_as_it_is(self, container: ContainerClient, key: str) -> None:
        container.upload_blob(f"odd/{key}", key.encode(), overwrite=True)
        assert container.download_blob(f"odd/{key}").readall() == key.encode()
        assert f"odd/{key}" in list(container.list_blob_names(name_starts_with="odd/"))


class TestGcs:
    def test_the_environment_is_all_that_the_sdk_needs(self, gcs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in gcs.environ.items():
            monkeypatch.setenv(name, value)
        with contextlib.closing(google.cloud.storage.Client()) as client:
            client.bucket("bucket").blob("environment").upload_from_string(b"found")
            assert client.bucket("bucket").blob("environment").download_as_bytes() == b"found"

    def test_a_second_creation_fails(self, bucket: Any) -> None:
        bucket.blob("once").upload_from_string(b"first", if_generation_match=0)
        with pytest.raises(google.api_core.exceptions.PreconditionFailed, match="conditionNotMet"):
            bucket.blob("once").upload_from_string(b"second", if_generation_match=0)
        assert bucket.blob("once").download_as_bytes() == b"first"

    def test_of_many_creations_one_wins(self, bucket: Any) -> None:
        for key in ("race-1", "race-2", "race-3"):

            def create(content: bytes, key: str = key) -> None:
                bucket.blob(key).upload_from_string(content, if_generation_match=0)

            winners = race(create, google.api_core.exceptions.PreconditionFailed)
            assert [bucket.blob(key).download_as_bytes()] == winners

    def test_of_many_resumable_creations_one_wins(self, bucket: Any) -> None:
        def create(content: bytes) -> None:
            with bucket.blob("resumable").open("wb", if_generation_match=0, chunk_size=256 * 1024) as file:
                file.write(content * 10)

        winners = race(create, InvalidResponse)
        with bucket.blob("resumable").open("rb") as file:
            assert [file.read()] == [content * 10 for content in winners]

    def test_a_simple_upload_may_be_a_creation(self, gcs: Server) -> None:
        url = f"{gcs.url}/upload/storage/v1/b/bucket/o?uploadType=media&name=media&ifGenerationMatch=0"
        assert request("POST", url, b"[1, 2]")[0] == 200
        status, body = request("POST", url, b"[3]")
        assert (status, b"conditionNotMet" in body) == (412, True)
        assert request("GET", f"{gcs.url}/storage/v1/b/bucket/o/media?alt=media") == (200, b"[1, 2]")

    def test_a_generation_may_be_replaced_once(self, bucket: Any) -> None:
        blob = bucket.blob("generations")
        blob.upload_from_string(b"first")
        first = blob.generation
        bucket.blob("generations").upload_from_string(b"second", if_generation_match=first)
        with pytest.raises(google.api_core.exceptions.PreconditionFailed):
            bucket.blob("generations").upload_from_string(b"third", if_generation_match=first)
        with pytest.raises(google.api_core.exceptions.NotFound):
            bucket.blob("generations", generation=first).download_as_bytes()

    def test_a_reader_sees_one_whole_content(self, bucket: Any) -> None:
        # The client compares the checksum that comes with the bytes, too.
        assert not torn_reads(
            lambda content: bucket.blob("torn").upload_from_string(content),
            lambda: bytes(bucket.blob("torn").download_as_bytes()),
        )

    def test_an_upload_is_invisible_until_its_last_byte(self, bucket: Any) -> None:
        with bucket.blob("late").open("wb", chunk_size=256 * 1024) as file:
            file.write(b"x" * 600_000)
            assert not bucket.blob("late").exists()
        assert bucket.blob("late").size is None
        assert bucket.get_blob("late").size == 600_000

    def test_an_abandoned_upload_leaves_nothing(self, bucket: Any) -> None:
        file = bucket.blob("abandoned").open("wb", chunk_size=256 * 1024)
        file.write(b"x" * 600_000)
        file.terminate()
        assert not bucket.blob("abandoned").exists()

    def test_a_cancelled_upload_is_gone(self, bucket: Any) -> None:
        url = bucket.blob("cancelled").create_resumable_upload_session(size=6)
        assert requests.delete(url, timeout=5).status_code == 499
        assert requests.put(url, b"abcdef", timeout=5).status_code == 404
        assert not bucket.blob("cancelled").exists()

    def test_an_interrupted_upload_goes_on_and_repeats_its_answer(self, bucket: Any) -> None:
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

    def test_many_chunks_take_no_longer_than_their_bytes(self, bucket: Any) -> None:
        megabyte = os.urandom(1 << 20)
        with bucket.blob("large").open("wb", chunk_size=1 << 20, if_generation_match=0) as file:
            for _ in range(64):
                file.write(megabyte)
        with bucket.blob("large").open("rb") as file:
            file.seek((64 << 20) - 5)
            assert file.read() == megabyte[-5:]
        bucket.delete_blob("large")

    def test_a_listing_has_pages_and_folders(self, gcs_client: google.cloud.storage.Client, gcs: Server) -> None:
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
    def test_a_key_is_taken_as_it_is(self, bucket: Any, key: str) -> None:
        bucket.blob(f"odd/{key}").upload_from_string(key.encode())
        assert bucket.blob(f"odd/{key}").download_as_bytes() == key.encode()
        assert f"odd/{key}" in [blob.name for blob in bucket.list_blobs(prefix="odd/")]

    @pytest.mark.parametrize("body", ODD_BODIES)
    @pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
    def test_a_body_is_taken_as_it_is(self, bucket: Any, body: bytes, kind: str) -> None:
        bucket.blob("body").upload_from_string(body, content_type=kind)
        assert bucket.blob("body").download_as_bytes() == body
        bucket.blob("body").upload_from_file(io.BytesIO(body), content_type=kind)
        assert bucket.blob("body").download_as_bytes() == body

    def test_a_range_is_a_part(self, bucket: Any) -> None:
        bucket.blob("range").upload_from_string(b"0123456789")
        blob = bucket.blob("range")
        assert blob.download_as_bytes(start=2, end=4) == b"234"
        assert blob.download_as_bytes(start=7) == b"789"
        assert blob.download_as_bytes(start=-3) == b"789"
        with pytest.raises(google.api_core.exceptions.RequestRangeNotSatisfiable):
            blob.download_as_bytes(start=10)

    def test_an_error_tells_a_missing_bucket_from_a_missing_object(
        self, gcs_client: google.cloud.storage.Client
    ) -> None:
        for ask in ("download_as_bytes", "reload", "delete"):
            with pytest.raises(google.api_core.exceptions.NotFound, match="No such object: bucket/none"):
                getattr(gcs_client.bucket("bucket").blob("none"), ask)()
            with pytest.raises(google.api_core.exceptions.NotFound, match="bucket does not exist"):
                getattr(gcs_client.bucket("nowhere").blob("none"), ask)()
        with pytest.raises(google.api_core.exceptions.NotFound, match="bucket does not exist"):
            gcs_client.bucket("nowhere").blob("none").upload_from_string(b"")


class TestS3AsAws:
    @pytest.fixture
    def s3(self) -> Iterator[S3AsAws]:
        with S3AsAws() as s3:
            yield s3

    def test_objects_come_and_go_with_their_headers_on_record(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1", "BucketKeyEnabled": True}
        client.put_object(Bucket="bucket", Key="a b/ü", Body=b"0123456789", **encryption)
        assert s3.objects == {"a b/ü": b"0123456789"}
        assert client.get_object(Bucket="bucket", Key="a b/ü", Range="bytes=-3")["Body"].read() == b"789"
        assert client.head_object(Bucket="bucket", Key="a b/ü")["ContentLength"] == 10
        client.delete_object(Bucket="bucket", Key="a b/ü")
        assert not s3.objects
        assert [one.method for one in s3.requests] == ["PUT", "GET", "HEAD", "DELETE"]
        (put,) = s3.seen("PUT", "a b/ü")
        sent = {name: value for name, value in put.headers.items() if "server-side-encryption" in name}
        assert sent == {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
            "x-amz-server-side-encryption-bucket-key-enabled": "true",
        }
        assert put.scope[2] == s3.region

    def test_a_listing_has_folders(self, s3: S3AsAws) -> None:
        s3.objects = dict.fromkeys(["a/1 &", "a/b/2", "a/b/3", "z"], b"")
        found = s3_client(s3.server).list_objects_v2(Bucket="bucket", Prefix="a/", Delimiter="/")
        assert [one["Key"] for one in found["Contents"]] == ["a/1 &"]
        assert [one["Prefix"] for one in found["CommonPrefixes"]] == ["a/b/"]

    def test_of_many_creations_one_wins(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)

        def create(content: bytes) -> None:
            client.put_object(Bucket="bucket", Key="race", Body=content, IfNoneMatch="*")

        winners = race(create, client.exceptions.ClientError)
        assert winners == [s3.objects["race"]]

    def test_a_multipart_upload_appears_at_its_end_and_may_be_a_creation(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        where = {"Bucket": "bucket", "Key": "parts"}

        def create() -> None:
            upload = client.create_multipart_upload(**where)["UploadId"]
            parts = []
            for number in (1, 2):
                part = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=b"%d" % number)
                parts.append({"PartNumber": number, "ETag": part["ETag"]})
                before.append("parts" in s3.objects)
            client.complete_multipart_upload(
                **where, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )

        before: list[bool] = []
        create()
        assert (before, s3.objects["parts"]) == ([False, False], b"12")
        with pytest.raises(botocore.exceptions.ClientError) as error:
            create()
        assert code_of(error) == (412, "PreconditionFailed")
        upload = client.create_multipart_upload(**where)["UploadId"]
        client.abort_multipart_upload(**where, UploadId=upload)
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"")
        assert code_of(error) == (404, "NoSuchUpload")

    def test_a_stream_of_unknown_length_is_taken(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        client.upload_fileobj(io.BytesIO(b"x" * (9 << 20)), "bucket", "stream")
        assert s3.objects["stream"] == b"x" * (9 << 20)

    def test_a_signature_for_another_region_is_told_the_right_one(self, s3: S3AsAws) -> None:
        scope = f"{s3.access_key}/20260101/us-west-2/s3/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        expected: list[tuple[Literal["400", "301"], int, str]] = [
            ("400", 400, "AuthorizationHeaderMalformed"),
            ("301", 301, "PermanentRedirect"),
        ]
        for mode, status, code in expected:
            s3.redirect_mode = mode
            answer = requests.get(f"{s3.url}/bucket/key", headers=headers, timeout=5)
            assert (answer.status_code, answer.headers["x-amz-bucket-region"]) == (status, s3.region)
            assert f"<Code>{code}</Code>" in answer.text
            assert (f"<Region>{s3.region}</Region>" in answer.text) == (mode == "400")
            assert "Location" not in answer.headers

    @pytest.mark.parametrize("mode", ["400", "301"])
    def test_boto3_follows_the_hint_to_the_right_region(self, s3: S3AsAws, mode: Literal["400", "301"]) -> None:
        s3.objects["key"] = b"here"
        s3.redirect_mode = mode
        client = s3_client(s3.server, region_name="us-west-2", config=Config(s3={"addressing_style": "path"}))
        assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"here"
        assert [one.scope[2] for one in s3.requests] == ["us-west-2", s3.region]

    def test_anybody_learns_the_region_from_the_bucket(self, s3: S3AsAws) -> None:
        head = requests.head(f"{s3.url}/bucket", timeout=5)
        assert (head.status_code, head.headers["x-amz-bucket-region"]) == (403, s3.region)
        assert "x-amz-bucket-region" not in requests.head(f"{s3.url}/nowhere", timeout=5).headers
        assert s3_client(s3.server).head_bucket(Bucket="bucket")["BucketRegion"] == s3.region
        assert s3_client(s3.server).get_bucket_location(Bucket="bucket")["LocationConstraint"] == s3.region

    def test_who_may_not_list_does_not_learn_what_is_missing(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.get_object(Bucket="bucket", Key="none")
        assert code_of(error) == (404, "NoSuchKey")
        s3.can_list = False
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.get_object(Bucket="bucket", Key="none")
        assert code_of(error) == (403, "AccessDenied")
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.list_objects_v2(Bucket="bucket")
        assert code_of(error) == (403, "AccessDenied")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"can_write": False}, "AccessDenied"),
            ({"access_key": "AKIDOTHER"}, "InvalidAccessKeyId"),
            ({"signature_ok": False}, "SignatureDoesNotMatch"),
            ({"clock_skewed": True}, "RequestTimeTooSkewed"),
        ],
    )
    def test_a_refused_write_says_why_and_writes_nothing(self, s3: S3AsAws, change: dict[str, Any], code: str) -> None:
        client = s3_client(s3.server)
        vars(s3).update(change)
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.put_object(Bucket="bucket", Key="key", Body=b"")
        assert code_of(error) == (403, code)
        assert not s3.objects

    def test_a_refused_read_and_a_missing_bucket(self, s3: S3AsAws) -> None:
        s3.objects["key"] = b""
        s3.can_read = False
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3_client(s3.server).get_object(Bucket="bucket", Key="key")
        assert code_of(error) == (403, "AccessDenied")
        with pytest.raises(botocore.exceptions.ClientError) as error:
            s3_client(s3.server).get_object(Bucket="nowhere", Key="key")
        assert code_of(error) == (404, "NoSuchBucket")

    def test_a_failure_comes_as_often_as_it_was_ordered(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        s3.fail_next = [("PUT", 503, 1), ("PUT", 500, 1)]
        for expected in ((503, "SlowDown"), (500, "InternalError")):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                client.put_object(Bucket="bucket", Key="key", Body=b"")
            assert code_of(error) == expected
            assert not s3.objects
        client.put_object(Bucket="bucket", Key="key", Body=b"")
        assert "key" in s3.objects

    def test_a_lost_answer_leaves_what_was_written(self, s3: S3AsAws) -> None:
        client = s3_client(s3.server)
        s3.lose_answer = [Lost("cut"), Lost("failed", nth=2, how="500")]
        with pytest.raises(botocore.exceptions.ConnectionClosedError):
            client.put_object(Bucket="bucket", Key="cut", Body=b"1")
        client.put_object(Bucket="bucket", Key="failed", Body=b"1")
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.put_object(Bucket="bucket", Key="failed", Body=b"2")
        assert code_of(error) == (500, "InternalError")
        assert s3.objects == {"cut": b"1", "failed": b"2"}

    def test_a_delay_outlasts_a_client_but_not_the_test(self, s3: S3AsAws) -> None:
        s3.delay = 600
        impatient = Config(read_timeout=0.1, retries={"total_max_attempts": 1})
        with pytest.raises(botocore.exceptions.ReadTimeoutError):
            s3_client(s3.server, config=impatient).get_object(Bucket="bucket", Key="key")

    def test_tls_is_trusted_by_its_own_authority_only(self) -> None:
        with S3AsAws(tls=True) as s3:
            s3_client(s3.server).put_object(Bucket="bucket", Key="key", Body=io.BytesIO(b"body"))
            assert s3.objects == {"key": b"body"}
            with pytest.raises(botocore.exceptions.SSLError):
                s3_client(s3.server, verify=True).get_object(Bucket="bucket", Key="key")


class TestProxy:
    def test_requests_pass_and_are_remembered(self) -> None:
        with S3AsAws() as s3, Proxy() as proxy:
            config = Config(proxies={"http": proxy.url}, s3={"addressing_style": "path"})
            client = s3_client(s3.server, config=config)
            client.put_object(Bucket="bucket", Key="a b", Body=b"body")
            assert client.get_object(Bucket="bucket", Key="a b")["Body"].read() == b"body"
            assert client.head_object(Bucket="bucket", Key="a b")["ContentLength"] == 4
            url = f"{s3.url}/bucket/a%20b"
            assert proxy.requests == [Passed("PUT", url), Passed("GET", url), Passed("HEAD", url)]

    def test_a_tunnel_leads_to_whoever_plays_the_host(self) -> None:
        with S3AsAws(tls=True) as s3:
            host = "bucket.s3.eu-central-1.amazonaws.com"
            with Proxy({host: s3.port}) as proxy:
                config = Config(proxies={"https": proxy.url}, s3={"addressing_style": "virtual"})
                client = s3_client(s3.server, config=config, endpoint_url=None)
                client.put_object(Bucket="bucket", Key="key", Body=b"body")
                assert s3.objects == {"key": b"body"}
                assert s3.requests[0].headers["host"] == host
                assert proxy.requests == [Passed("CONNECT", f"{host}:443")]

    def test_nothing_leaves_the_loopback(self) -> None:
        with Proxy() as proxy:
            proxies = {"http": proxy.url, "https": proxy.url}
            assert requests.get("http://example.com/", proxies=proxies, timeout=5).status_code == 502
            with pytest.raises(requests.exceptions.ProxyError, match="502"):
                requests.get("https://example.com/", proxies=proxies, timeout=5)
            assert [one.method for one in proxy.requests] == ["GET", "CONNECT"]
