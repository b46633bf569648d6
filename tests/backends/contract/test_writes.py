"""What every backend promises of writing: whole or not at all, one creator of a key, and a delete that is thorough."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runner import errors
from support.contract import (
    CLOUDS,
    CREATES,
    DENIALS,
    MB,
    MISSING,
    REFUSALS,
    endpoint,
    impatient,
    noise,
    relayed,
    through,
    write_all,
)
from support.wire import Fault

if TYPE_CHECKING:
    from support.contract import Root
    from support.places import Place


RACERS, ROUNDS = 16, 20


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


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("times", [1, 1_000_000])
def test_a_create_whose_answer_is_lost_recognises_its_own_object(
    place: Place, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 1)
    method, words = CREATES[place.word]
    with relayed(place, Fault("lose", method, words, times=times)) as (relay, storage):
        storage.create("lost", b"mine")
        assert any(sent == "GET" for sent, _ in relay.requests)
    assert place.read("lost") == b"mine"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_create_whose_answer_is_lost_does_not_take_anothers_object_for_its_own(place: Place) -> None:
    method, words = CREATES[place.word]
    place.write("lost", b"theirs")
    with relayed(place, Fault("lose", method, words, times=1)) as (_, storage), pytest.raises(errors.WriteFailed):
        storage.create("lost", b"mine")
    assert place.read("lost") == b"theirs"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("patience", [None, 10])
def test_a_create_that_was_lost_before_it_was_stored_is_made_again(place: Place, patience: float | None) -> None:
    method, words = CREATES[place.word]
    with relayed(place, Fault("drop", method, words, times=3)) as (relay, _):
        through(place, relay.port, endpoint(place)).open(patience).create("lost", b"mine")
    assert place.read("lost") == b"mine"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_create_that_is_always_lost_is_given_up_in_time(place: Place) -> None:
    method, words = CREATES[place.word]
    began = time.monotonic()
    with relayed(place, Fault("drop", method, words)) as (_, storage), pytest.raises(errors.WriteFailed) as refusal:
        storage.create("lost", b"mine")
    assert type(refusal.value) is errors.WriteFailed
    assert refusal.value.transient
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("patience", [None, 10])
def test_what_does_not_pass_is_not_tried_again(place: Place, patience: float | None) -> None:
    method, words = CREATES[place.word]
    place.write("taken-lost", b"theirs")
    answers = [
        (400, b"<Error><Code>InvalidRequest</Code></Error>", errors.WriteFailed),
        (403, DENIALS[place.word], errors.Denied),
        (*REFUSALS[place.word], errors.CredentialsRefused),
        (404, MISSING[place.word], errors.BucketMissing),
    ]
    for status, body, kind in answers:
        with relayed(place, Fault("answer", method, words, status=status, body=body)) as (relay, _):
            storage = through(place, relay.port, endpoint(place)).open(patience)
            with pytest.raises(errors.RunnerError) as refusal:
                storage.create("lost", b"mine")
            assert type(refusal.value) is kind, refusal.value
            assert not refusal.value.transient
            assert [sent for sent, _ in relay.requests].count(method) == 1
    with relayed(place) as (relay, _):
        with pytest.raises(errors.AlreadyExists) as taken:
            through(place, relay.port, endpoint(place)).open(patience).create("taken-lost", b"mine")
        assert not taken.value.transient
        assert [sent for sent, _ in relay.requests].count(method) == 1


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_whose_object_it_is_stays_open_while_it_cannot_be_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 1)
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


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_browser_gets_a_replaced_object_as_what_its_writer_says(place: Place) -> None:
    storage = place.open()
    storage.replace("page.html", b"<p>", "text/html; charset=utf-8")
    storage.replace("beat", b"1")
    assert place.media_type("page.html") == "text/html; charset=utf-8"
    assert not str(place.media_type("beat")).startswith("text/html")
    assert storage.read("page.html") == b"<p>"


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
