"""What `runner/storage/base.py` promises, kept by every backend; the clouds' own SDKs are the referee.

Where RUNNER_TEST_S3, RUNNER_TEST_GCS or RUNNER_TEST_AZURE is a root's URL (``s3://bucket/folder``), the suite runs
against that real bucket too, under a random prefix that it removes, with this machine's own credentials.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from runner.backends import object_store
from runner.backends.gcp import gcs
from runner.location import parse_location
from support.places import Place, azure_place, gcs_place, s3_place
from support.wire import Fault, Relay, blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runner.backends.base import Storage
    from support.servers import Server

AMBIENT = dict(os.environ)  # before the autouse fixture clears it
REAL = {
    word: AMBIENT[f"RUNNER_TEST_{word.upper()}"]
    for word in ("s3", "gcs", "azure")
    if AMBIENT.get(f"RUNNER_TEST_{word.upper()}")
}
CLOUDS = ["s3", "gcs", "azure"]
BACKENDS = ["local", *CLOUDS]
MB = 1024 * 1024
RACERS, ROUNDS = 16, 20
KEYS = [
    *("a b", " a", "a ", "a+b", "ü/日本/😀", "e\u0301", "100%", "%2F", "a%20b", "..a", "a..b", "a..", "...", "-", "~"),
    *(
        "q?x#y&z=1",
        "x/acl",
        "a*b",
        "'q'",
        '"d"',
        "a:b",
        "a|b",
        "<x>",
        "[z]",
        "{y}",
        "$a@b,c=d!^`;",
        "a\u2028b",
        "a\x80b",
    ),
    "latest/api/token",
    "deep/" * 20 + "x",
]
REFUSED = [
    *("..", "../a", "a/..", "a/../b", ".", "./a", "a/./b", "/a", "a/", "a//b", "", "a\\b", "a\0b", "a\nb", "a\x7fb"),
    "\ud800",
    "x" * 1025,
]


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


@pytest.fixture(params=[*BACKENDS, *(f"real-{word}" for word in REAL)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    if not backend.startswith("real-"):
        yield Root(request.getfixturevalue("place"))
        return
    for name, value in AMBIENT.items():  # the real credentials, and the home in which they lie
        monkeypatch.setenv(name, value)
    word = backend.removeprefix("real-")
    where = parse_location(REAL[word])
    prefix = f"{where.key}/{uuid.uuid4().hex}/".lstrip("/")
    place, remove = real_place(word, REAL[word], where.container, prefix)
    yield Root(place, prefix)
    for key in place.keys():  # noqa: SIM118
        remove(key)


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


def no_retries(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let an answer take as long, and ask once."""
    monkeypatch.setattr(object_store, "READ_TIMEOUT", timedelta(seconds=seconds))
    monkeypatch.setattr(object_store, "PARTS_AT_ONCE", 0)  # a writer is as impatient
    monkeypatch.setattr(object_store, "RETRIES", object_store.RETRIES | {"max_retries": 0})
    monkeypatch.setattr(object_store, "DEADLINE", seconds / 2)
    monkeypatch.setattr(gcs, "TIMEOUT", (3.0, seconds))
    monkeypatch.setattr(gcs, "DEADLINE", seconds / 2)


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


# ---- whole or not at all


def test_of_sixteen_creates_at_once_exactly_one_wins(root: Root) -> None:
    storages = [root.open() for _ in range(4)]
    with ThreadPoolExecutor(RACERS) as pool:
        for number in range(ROUNDS):
            key, start = f"{root.prefix}race/{number}", threading.Barrier(RACERS)

            def run(racer: int, key: str = key, start: threading.Barrier = start) -> bytes | None:
                data = b"%d/%s" % (racer, uuid.uuid4().bytes) * 500
                start.wait()
                try:
                    storages[racer % 4].create(key, data)
                except errors.AlreadyExists:
                    return None
                return data

            winners = [data for data in pool.map(run, range(RACERS)) if data]
            assert len(winners) == 1
            assert root.read(f"race/{number}") == winners[0]


def test_a_key_that_is_taken_is_refused_and_keeps_its_object(root: Root) -> None:
    root.write("taken", b"theirs")
    with pytest.raises(errors.AlreadyExists, match="exists already") as refusal:
        root.open().create(f"{root.prefix}taken", b"mine")
    assert refusal.value.code == 73
    assert root.read("taken") == b"theirs"


def test_a_create_that_finds_its_own_bytes_has_succeeded(root: Root) -> None:
    root.open().create(f"{root.prefix}again", b"token 1")
    root.open().create(f"{root.prefix}again", b"token 1")
    assert root.read("again") == b"token 1"


CREATES = {"s3": ("PUT", "lost"), "azure": ("PUT", "lost"), "gcs": ("POST", "uploadType=multipart")}


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("times", [1, 1_000_000])
def test_a_create_whose_answer_is_lost_recognises_its_own_object(
    place: Place, backend: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "DEADLINE", 1)
    method, words = CREATES[backend]
    with relayed(place, Fault("lose", method, words, times=times)) as (relay, storage):
        storage.create("lost", b"mine")
        assert any(asked == "GET" for asked, _ in relay.requests)
    assert place.read("lost") == b"mine"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_create_whose_answer_is_lost_does_not_take_anothers_object_for_its_own(place: Place, backend: str) -> None:
    method, words = CREATES[backend]
    place.write("lost", b"theirs")
    with relayed(place, Fault("lose", method, words, times=1)) as (_, storage), pytest.raises(errors.WriteFailed):
        storage.create("lost", b"mine")
    assert place.read("lost") == b"theirs"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("patience", [None, 10])
def test_a_create_that_was_lost_before_it_was_stored_is_made_again(
    place: Place, backend: str, patience: float | None
) -> None:
    method, words = CREATES[backend]
    with relayed(place, Fault("drop", method, words, times=3)) as (relay, _):
        through(place, relay.port, endpoint(place)).open(patience).create("lost", b"mine")
    assert place.read("lost") == b"mine"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_create_that_is_always_lost_is_given_up_in_time(place: Place, backend: str) -> None:
    method, words = CREATES[backend]
    began = time.monotonic()
    with relayed(place, Fault("drop", method, words)) as (_, storage), pytest.raises(errors.WriteFailed) as refusal:
        storage.create("lost", b"mine")
    assert type(refusal.value) is errors.WriteFailed
    assert refusal.value.transient
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("patience", [None, 10])
def test_what_does_not_pass_is_not_tried_again(place: Place, backend: str, patience: float | None) -> None:
    method, words = CREATES[backend]
    place.write("taken-lost", b"theirs")
    answers = [
        (400, b"<Error><Code>InvalidRequest</Code></Error>", errors.WriteFailed),
        (403, DENIALS[backend], errors.Denied),
        (*REFUSALS[backend], errors.CredentialsRefused),
        (404, MISSING[backend], errors.BucketMissing),
    ]
    for status, body, kind in answers:
        with relayed(place, Fault("answer", method, words, status=status, body=body)) as (relay, _):
            storage = through(place, relay.port, endpoint(place)).open(patience)
            with pytest.raises(errors.RunnerError) as refusal:
                storage.create("lost", b"mine")
            assert type(refusal.value) is kind, refusal.value
            assert not refusal.value.transient
            assert [asked for asked, _ in relay.requests].count(method) == 1
    with relayed(place) as (relay, _):
        with pytest.raises(errors.AlreadyExists) as taken:
            through(place, relay.port, endpoint(place)).open(patience).create("taken-lost", b"mine")
        assert not taken.value.transient
        assert [asked for asked, _ in relay.requests].count(method) == 1


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_whose_object_it_is_stays_open_while_it_cannot_be_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "DEADLINE", 1)
    monkeypatch.setattr(object_store, "RETRIES", object_store.RETRIES | {"max_retries": 1})
    monkeypatch.setattr(object_store, "DEADLINE", 1)
    place.write("lost", b"theirs")
    broken = Fault("answer", "GET", "lost", status=500, body=b"no")
    with relayed(place, broken) as (_, storage), pytest.raises(errors.ReadFailed) as refusal:
        storage.create("lost", b"mine")
    assert isinstance(refusal.value.__cause__, errors.AlreadyExists)


def test_a_reader_sees_whole_objects_alone_while_they_are_replaced(root: Root) -> None:
    contents = [noise(20 * MB), noise(17 * MB, 1)]
    known = {hashlib.sha256(content).digest() for content in contents}
    key, done, seen = f"{root.prefix}changing", threading.Event(), []

    def watch() -> None:
        storage = root.open()
        while not done.is_set():
            # GCS is read in ranges, and says so where the object was replaced between two of them
            with contextlib.suppress(errors.NotFound, errors.ReadFailed):
                seen.append(hashlib.sha256(storage.read(key)).digest())

    with ThreadPoolExecutor(2) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        try:
            storage = root.open()
            for number in range(4):
                before = len(seen)
                write_all(storage, key, contents[number % 2])
                while len(seen) == before and not any(watcher.done() for watcher in watchers):
                    done.wait(0.01)
        finally:
            done.set()
        for watcher in watchers:
            watcher.result()
    assert set(seen) <= known
    assert len(seen) >= 4


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_writer_whose_block_fails_leaves_the_key_as_it_was(root: Root, before: bytes | None) -> None:
    storage = root.open()
    if before:
        root.write("half", before)
    for size in (10, 20 * MB):

        def fail(size: int = size) -> None:
            with storage.writer(f"{root.prefix}half") as writer:
                writer.write(noise(size))
                raise FileExistsError("the block's own")

        with pytest.raises(FileExistsError, match="the block's own"):
            fail()
        gc.collect()
        assert root.keys() == (["half"] if before else [])
    if before:
        assert root.read("half") == before


def test_a_replaced_object_is_the_new_one_whether_or_not_there_was_one(root: Root) -> None:
    storage = root.open()
    for data in (b"first", b"", b"third" * 1000):
        storage.replace(f"{root.prefix}etl/beat", data)
        assert root.read("etl/beat") == data
        assert root.keys() == ["etl/beat"]


def test_a_reader_sees_whole_objects_alone_while_they_are_replaced_at_once(root: Root) -> None:
    contents = [noise(200_000, seed) for seed in range(3)]
    key, storage, done = f"{root.prefix}beat", root.open(), threading.Event()
    storage.replace(key, contents[0])

    def watch() -> set[bytes]:
        reader, seen = root.open(), set()
        while not done.is_set():
            seen.add(reader.read(key))
        return seen

    with ThreadPoolExecutor(2) as pool:
        watchers = [pool.submit(watch) for _ in range(2)]
        for number in range(30):
            storage.replace(key, contents[number % 3])
        done.set()
        assert set().union(*(watcher.result() for watcher in watchers)) <= set(contents)
    assert root.keys() == ["beat"]


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("size", [100, 7 * MB])
def test_a_replace_is_one_request(place: Place, size: int) -> None:
    with relayed(place) as (relay, storage):
        storage.replace("beat", noise(size))
        relay.requests.clear()
        storage.replace("beat", noise(size, 1))
        assert [method for method, _ in relay.requests] == ["POST" if place.word == "gcs" else "PUT"]
    assert place.read("beat") == noise(size, 1)


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_replace_whose_answer_is_lost_is_made_again(place: Place) -> None:
    place.write("beat", b"before")
    lost = [Fault("lose", method, times=1) for method in ("PUT", "POST")]
    with relayed(place, *lost) as (_, storage):
        storage.replace("beat", b"after")
    assert place.read("beat") == b"after"


# ---- what is wrong is told apart


def test_a_delete_leaves_nothing_of_its_key_and_all_others(root: Root) -> None:
    storage = root.open()
    for name in ("gone", "gone.not", "folder/gone", "folder/kept"):
        root.write(name, b"data")
    storage.delete(f"{root.prefix}gone")
    storage.delete(f"{root.prefix}folder/gone")
    assert sorted(root.keys()) == ["folder/kept", "gone.not"]
    storage.create(f"{root.prefix}gone", b"again")  # the key is free
    assert root.read("gone") == b"again"


@pytest.mark.parametrize("key", ["nothing", "no/folder/either", "folder", "folder/file/below"])
def test_a_delete_of_what_is_not_there_is_no_error(root: Root, key: str) -> None:
    root.write("folder/file", b"data")
    root.open().delete(f"{root.prefix}{key}")
    assert root.keys() == ["folder/file"]


def test_a_missing_object_is_not_found(root: Root) -> None:
    with pytest.raises(errors.NotFound, match=r"there is no (object|file) .*nope") as refusal:
        root.open().read(f"{root.prefix}nope/nope")
    assert type(refusal.value) is errors.NotFound
    assert refusal.value.code == 66


def test_a_missing_folder_is_empty(root: Root) -> None:
    assert root.open().list_folder(f"{root.prefix}nope/") == ([], [])
    assert list(root.open().list_recursive(f"{root.prefix}nope/")) == []


@pytest.mark.parametrize("key", ["key", "object/bucket"])
def test_a_missing_bucket_is_told_from_a_missing_object(place: Place, backend: str, key: str) -> None:
    storage = replace(place, url=f"{place.url}-missing").open()
    for what, call in operations(storage, key).items():
        if backend == "local" and what in {"create", "replace", "write"}:
            continue  # a folder is made
        with pytest.raises(errors.BucketMissing, match=r"there is no (bucket|folder) .*-missing") as refusal:
            call()
        assert refusal.value.code == 66, what


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
METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE"]


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("key", ["key", "credentials/metadata 404 Not Found timed out dns error"])
def test_who_is_known_and_may_not_is_denied(place: Place, backend: str, key: str) -> None:
    faults = [Fault("answer", method, status=403, body=DENIALS[backend]) for method in METHODS]
    with relayed(place, *faults) as (_, storage):
        for what, call in operations(storage, key).items():
            with pytest.raises(errors.Denied, match=r"not allowed to (read|write|delete|list)") as refusal:
                call()
            assert refusal.value.code == 77, what
            assert "Give the identity" in refusal.value.hint


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_wrong_credentials_are_told_from_a_lack_of_rights(place: Place, backend: str) -> None:
    status, body = REFUSALS[backend]
    faults = [Fault("answer", method, status=status, body=body) for method in METHODS]
    with relayed(place, *faults) as (_, storage):
        for call in operations(storage, "key").values():
            with pytest.raises(errors.CredentialsRefused, match="refused the credentials") as refusal:
                call()
            assert type(refusal.value) is errors.CredentialsRefused
            assert refusal.value.code == 77


def test_an_endpoint_that_is_down_is_given_up_within_15_seconds(
    moto: Server, gcs_emulator: Server, azurite: Server
) -> None:
    places = [s3_place(moto), gcs_place(gcs_emulator), azure_place(azurite)]
    with refused() as refusing, blackhole() as swallowing:

        def attempt(place: Place, port: int, what: str) -> tuple[str, int, str, object, float]:
            storage = through(place, port, endpoint(place)).open()
            began, kind = time.monotonic(), None
            try:
                operations(storage, "key")[what]()
            except errors.RunnerError as error:
                kind = type(error)
            return place.word, port, what, kind, time.monotonic() - began

        cases = [
            (place, port, what)
            for place in places
            for port in (refusing, swallowing)
            for what in operations(place.open(), "key")
        ]
        with ThreadPoolExecutor(len(cases)) as pool:
            found = list(pool.map(lambda case: attempt(*case), cases))
    assert {kind for *_, kind, _ in found} == {errors.Unreachable}, found
    assert errors.Unreachable.code == 69
    slowest = max(seconds for *_, seconds in found)
    print(f"given up after {slowest:.1f} s at the latest")
    assert slowest < 15


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_an_endpoint_that_takes_the_request_and_never_answers_is_too_slow(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_retries(monkeypatch, 1)
    with relayed(place, *(Fault("silent", method) for method in METHODS)) as (_, storage):

        def attempt(call: Callable[[], object]) -> None:
            with pytest.raises(errors.TooSlow, match=r"no answer within 1(\.\d)? s") as refusal:
                call()
            assert refusal.value.code == 74

        with ThreadPoolExecutor(7) as pool:
            list(pool.map(attempt, operations(storage, "key").values()))


PATIENCE = [0.5, 1, 10]
IN_TIME = ("read", "create", "replace", "folder", "walk")


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("patience", PATIENCE)
def test_with_patience_no_small_request_takes_longer(place: Place, patience: float) -> None:
    silent = [Fault("silent", method) for method in METHODS]
    busy = [Fault("answer", method, status=503, body=b"<Error/>") for method in METHODS]
    lost = [Fault("lose", method) for method in METHODS]
    place.write("key", b"theirs")
    failed: set[type[errors.RunnerError]] = {errors.ReadFailed, errors.WriteFailed}
    with (
        relayed(place, *silent) as (silence, _),
        relayed(place, *busy) as (business, _),
        relayed(place, *lost) as (losses, _),
        refused() as refusing,
        blackhole() as swallowing,
    ):
        kinds: dict[int, set[type[errors.RunnerError]]] = {
            silence.port: {errors.TooSlow},
            business.port: failed,
            losses.port: failed,
            refusing: {errors.Unreachable},
            swallowing: {errors.Unreachable},
        }

        def attempt(port: int, what: str) -> tuple[int, str, float, errors.RunnerError]:
            storage = through(place, port, endpoint(place)).open(patience)
            began = time.monotonic()
            with pytest.raises(errors.RunnerError) as refusal:
                operations(storage, "key")[what]()
            return port, what, time.monotonic() - began, refusal.value

        with ThreadPoolExecutor(5 if patience < 10 else 25) as pool:
            cases = [(port, what) for port in kinds for what in IN_TIME]
            for port, what, seconds, error in pool.map(lambda case: attempt(*case), cases):
                if not (what == "create" and port == losses.port):  # it is read back as well, and another's is there
                    assert type(error) in kinds[port], (what, error)
                assert seconds < patience + 0.1, (what, error)
                if told := re.search(r"\(\d+ tries in ([\d.]+) s\)", error.message):
                    assert float(told[1]) == pytest.approx(seconds, abs=0.2)
                elif told := re.search(r"no answer within ([\d.]+) s", error.message):
                    assert float(told[1]) <= seconds + 0.1


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_with_patience_what_is_well_goes_as_without(place: Place) -> None:
    storage = place.open(5)
    storage.create("etl/created", b"1")
    storage.replace("etl/beat", b"2")
    write_all(storage, "etl/written", b"3")
    assert [entry.key for entry in storage.list_folder("etl/")[1]] == ["etl/beat", "etl/created", "etl/written"]
    assert [storage.read(entry.key) for entry in storage.list_folder("etl/")[1]] == [b"2", b"1", b"3"]
    with pytest.raises(errors.AlreadyExists):
        storage.create("etl/created", b"2")
    with pytest.raises(errors.NotFound):
        storage.read("etl/none")


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_with_patience_a_server_that_is_busy_is_asked_again(place: Place) -> None:
    place.write("key", b"data")
    busy = [Fault("answer", method, times=2, status=503, body=b"<Error/>") for method in METHODS]
    with relayed(place, *busy) as (relay, _):
        storage = through(place, relay.port, endpoint(place)).open(5)
        assert storage.read("key") == b"data"
        storage.create("new", b"data")
        storage.replace("beat", b"data")
    assert place.read("new") == place.read("beat") == b"data"


@pytest.mark.parametrize("backend", ["s3", "gcs"], indirect=True)  # azure's bytes are moved as those of s3 are
def test_an_upload_may_take_longer_than_an_answer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "READ_TIMEOUT", timedelta(seconds=1))
    monkeypatch.setattr(gcs, "TIMEOUT", (1.0, 10.0))
    data = noise(9 * MB)
    with relayed(place, Fault("slow", "PUT")) as (_, storage), ThreadPoolExecutor(2) as pool:
        for done in [
            pool.submit(storage.create, "created", data),
            pool.submit(write_all, storage, "written", data),
        ]:
            done.result()
    assert place.read("created") == place.read("written") == data


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_body_that_breaks_off_once_is_read_on(place: Place) -> None:
    data = noise(11 * MB)
    place.write("large", data)
    with relayed(place, Fault("cut", "GET", "large", times=1)) as (relay, storage):
        assert storage.read("large") == data
        assert len(relay.requests) > 1


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_body_that_always_breaks_off_is_a_failed_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "DEADLINE", 1)
    monkeypatch.setattr(object_store, "RETRIES", object_store.RETRIES | {"max_retries": 2})
    monkeypatch.setattr(object_store, "DEADLINE", 1)
    place.write("large", noise(MB))
    with (
        relayed(place, Fault("cut", "GET", "large")) as (_, storage),
        pytest.raises(errors.ReadFailed) as refusal,
    ):
        storage.read("large")
    assert type(refusal.value) is errors.ReadFailed
    assert refusal.value.code == 74


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_server_that_is_busy_is_asked_again(place: Place) -> None:
    place.write("busy", b"data")
    busy = [Fault("answer", method, times=2, status=503, body=b"<Error/>") for method in METHODS]
    with relayed(place, *busy) as (_, storage):
        assert storage.read("busy") == b"data"
        storage.create("new", b"data")
        storage.replace("beat", b"data")
    assert place.read("new") == place.read("beat") == b"data"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_server_that_stays_broken_fails_the_write(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "DEADLINE", 1)
    monkeypatch.setattr(object_store, "RETRIES", object_store.RETRIES | {"max_retries": 1})
    monkeypatch.setattr(object_store, "DEADLINE", 1)
    broken = [Fault("answer", method, status=500, body=b"<Error/>") for method in ("PUT", "POST")]
    with relayed(place, *broken) as (_, storage):
        for what in ("create", "replace", "write"):
            with pytest.raises(errors.WriteFailed, match=r"write .*key failed") as refusal:
                operations(storage, "key")[what]()
            assert type(refusal.value) is errors.WriteFailed


# ---- keys


def test_odd_keys_are_kept_as_they_are(root: Root) -> None:
    storage = root.open()
    for name in KEYS:
        storage.create(root.prefix + name, name.encode())
        write_all(storage, f"{root.prefix}{name}-w", b"2")
    for name in KEYS:
        assert storage.read(root.prefix + name) == root.read(name) == name.encode(), name
        assert b"".join(storage.stream(f"{root.prefix}{name}-w")) == b"2", name
    expected = sorted([*KEYS, *(f"{name}-w" for name in KEYS)])
    assert sorted(root.keys()) == expected
    assert sorted(entry.key.removeprefix(root.prefix) for entry in storage.list_recursive(root.prefix)) == expected
    for folder in {name.rpartition("/")[0] for name in KEYS}:
        _, entries = storage.list_folder(f"{root.prefix}{folder}/" if folder else root.prefix)
        here = [name for name in expected if name.rpartition("/")[0] == folder]
        assert [entry.key.removeprefix(root.prefix) for entry in entries] == here, folder


def test_keys_that_mean_another_one_are_refused_everywhere(root: Root) -> None:
    storage = root.open()

    def calls(key: str) -> list[Callable[[], Any]]:
        return [
            lambda: storage.read(key),
            lambda: storage.stream(key),
            lambda: storage.create(key, b""),
            lambda: storage.replace(key, b""),
            lambda: write_all(storage, key),
            lambda: storage.sweep(f"{key}/"),
            lambda: storage.list_folder(f"{key}/"),
            lambda: storage.list_recursive(f"{key}/"),
        ]

    for key in REFUSED:
        for call in calls(key):
            with pytest.raises(errors.UsageError, match="cannot be used") as refusal:
                call()
            assert refusal.value.code == 2
    assert root.keys() == []


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_refused_key_is_never_sent(place: Place) -> None:
    with relayed(place) as (relay, storage):
        for call in operations(storage, "a/../b").values():
            with pytest.raises(errors.UsageError):
                call()
        assert relay.requests == []


# ---- sizes, ranges, listings


def test_empty_objects_are_objects(root: Root) -> None:
    storage = root.open()
    storage.create(f"{root.prefix}created", b"")
    write_all(storage, f"{root.prefix}written")
    for name in ("created", "written"):
        assert storage.read(root.prefix + name) == root.read(name) == b""
        assert list(storage.stream(root.prefix + name, 0, 10)) == []
        assert list(storage.stream(root.prefix + name, 5)) == []
    assert [
        (entry.key, entry.size) for entry in sorted(storage.list_recursive(root.prefix), key=lambda entry: entry.key)
    ] == [
        (f"{root.prefix}created", 0),
        (f"{root.prefix}written", 0),
    ]
    assert len(storage.list_folder(root.prefix)[1]) == 2
    with pytest.raises(errors.AlreadyExists):
        storage.create(f"{root.prefix}created", b"more")


@pytest.mark.parametrize("size", [100, 8 * MB, 16 * MB + 1])
def test_a_range_gives_those_bytes_alone(root: Root, size: int) -> None:
    data = noise(size)
    root.write("ranges", data)
    storage, key = root.open(), f"{root.prefix}ranges"
    edges = [0, 1, size // 2, size - 1, size, size + 7]
    for offset in edges:
        for length in (None, 0, 1, 50, size, size * 2):
            stop = None if length is None else offset + length
            assert b"".join(storage.stream(key, offset, length)) == data[offset:stop], (offset, length)
    assert all(len(chunk) <= 24 * MB for chunk in storage.stream(key))
    with pytest.raises(errors.NotFound):
        list(storage.stream(f"{root.prefix}none", 5, 10))


def test_listings_go_past_a_thousand_keys(root: Root) -> None:
    names = [f"many/{number:04}" for number in range(550)] + [f"many/d{number:04}/x" for number in range(550)]
    storage = root.open()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: storage.create(root.prefix + name, b"12"), names))
    root.write("manyfold", b"not in the folder")
    walked = [(entry.key, entry.size) for entry in storage.list_recursive(f"{root.prefix}many/")]
    assert sorted(walked) == sorted((root.prefix + name, 2) for name in names)
    folders, entries = storage.list_folder(f"{root.prefix}many/")
    assert folders == [f"d{number:04}" for number in range(550)]
    assert [entry.key for entry in entries] == [f"{root.prefix}many/{number:04}" for number in range(550)]


@pytest.mark.parametrize("backend", [*CLOUDS, *(f"real-{word}" for word in REAL)], indirect=True)
def test_the_markers_that_consoles_leave_for_folders_are_no_objects(root: Root) -> None:
    for name in ("etl/", "etl/runs/", "hollow/"):
        root.write(name, b"")
    root.write("etl/v1", b"bundle")
    root.write("nought", b"")
    storage, prefix = root.open(), root.prefix
    assert sorted(entry.key for entry in storage.list_recursive(prefix)) == [f"{prefix}etl/v1", f"{prefix}nought"]
    folders, entries = storage.list_folder(prefix)
    assert (folders, [entry.key for entry in entries]) == (["etl", "hollow"], [f"{prefix}nought"])
    folders, entries = storage.list_folder(f"{prefix}etl/")
    assert (folders, [entry.key for entry in entries]) == (["runs"], [f"{prefix}etl/v1"])
    assert storage.list_folder(f"{prefix}hollow/") == ([], [])
    with pytest.raises(errors.NotFound):
        storage.read(f"{prefix}etl")
    storage.create(f"{prefix}hollow/v1", b"bundle")
    assert storage.read(f"{prefix}hollow/v1") == b"bundle"


def test_a_listing_tells_when_an_object_was_stored(root: Root) -> None:
    storage, before = root.open(), time.time()
    storage.create(f"{root.prefix}etl/one", b"1")
    (walked,), (_, (listed,)) = (
        list(storage.list_recursive(f"{root.prefix}etl/")),
        storage.list_folder(f"{root.prefix}etl/"),
    )
    assert walked == listed
    assert before - 2 < walked.modified < time.time() + 2  # whole seconds, and on a real bucket another's clock


def test_a_sweep_leaves_all_objects_as_they_are(root: Root) -> None:
    storage = root.open()
    storage.create(f"{root.prefix}etl/one", b"1")
    storage.replace(f"{root.prefix}etl/deep/two", b"2")
    assert storage.sweep(f"{root.prefix}etl/") == storage.sweep(f"{root.prefix}none/") == 0
    assert root.keys() == ["etl/deep/two", "etl/one"]


STREAM = """
import hashlib, re, sys
from pathlib import Path
from runner.secrets.named import resolve
from runner.environ import process_environ
from runner.backends import open_storage
from runner.location import parse_location

def peak():
    # not getrusage: its peak begins with that of the process which started this one
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def write(key, blocks):
    digest = hashlib.sha256()
    with storage.writer(key) as writer:
        for number in range(blocks):
            part = block[number:] + block[:number]
            digest.update(part)
            writer.write(part)
    return digest.hexdigest()

def read(key):
    digest = hashlib.sha256()
    for chunk in storage.stream(key):
        digest.update(chunk)
    return digest.hexdigest()

url, prefix = sys.argv[1:]
storage = open_storage(parse_location(url).as_root(), resolve((), process_environ()), process_environ())
block = bytes(range(256)) * 4096
assert write(prefix + "warm-up", 1) == read(prefix + "warm-up")
before = peak()
written = write(prefix + "large", 300)
after_write = peak()
assert read(prefix + "large") == written
print(f"{after_write - before:.0f} {peak() - before:.0f}")
"""


def test_300_megabytes_stream_both_ways_within_64_of_extra_memory(root: Root, tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STREAM, root.place.url, root.prefix],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    written, both = map(int, done.stdout.split())
    print(f"extra memory: {written} MB after writing, {both} MB after reading; {time.monotonic() - began:.1f} s")
    assert both < 64
    assert {entry.size for entry in root.open().list_recursive(root.prefix)} == {MB, 300 * MB}


# ---- the referee


@pytest.mark.parametrize("size", [0, 1, 20 * MB + 3])
def test_what_runner_writes_the_clouds_own_sdk_reads(root: Root, size: int) -> None:
    data, storage = noise(size), root.open()
    storage.create(f"{root.prefix}created", data)
    write_all(storage, f"{root.prefix}written", data[: size // 3], data[size // 3 :])
    assert root.keys() == ["created", "written"]
    assert root.read("created") == root.read("written") == data


@pytest.mark.parametrize("size", [0, 1, 20 * MB + 3])
def test_what_the_clouds_own_sdk_writes_runner_reads(root: Root, size: int) -> None:
    data, storage = noise(size), root.open()
    root.write("put", data)
    upload_in_parts(root, "parts", data)
    assert storage.read(f"{root.prefix}put") == storage.read(f"{root.prefix}parts") == data
    assert {entry.key: entry.size for entry in storage.list_recursive(root.prefix)} == {
        f"{root.prefix}parts": size,
        f"{root.prefix}put": size,
    }


# ---- lean


def test_importing_the_storages_imports_neither_obstore_nor_an_sdk() -> None:
    code = """
import sys, runner.storage
from runner.authoring.storages import declare
from runner.backends.aws import s3
from runner.backends.azure import blob
from runner.backends.gcp import gcs
from runner.backends.local import files
from runner.storage import GCS, S3, Azure, Local
heavy = {"obstore", "boto3", "botocore", "google", "azure", "requests"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
