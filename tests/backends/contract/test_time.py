"""What every backend promises of time: what is down is given up, what is busy or breaks off is tried again."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runner import errors
from runner.backends import object_store
from runner.backends.gcp import gcs
from support.contract import (
    BACKENDS,
    CLOUDS,
    MB,
    METHODS,
    endpoint,
    noise,
    operations,
    relayed,
    through,
    without_retries,
    write_all,
)
from support.places import azure_place, gcs_place, s3_place
from support.wire import Fault, blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.places import Place
    from support.servers import Server


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
    without_retries(monkeypatch, 1)
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
    if patience < 10:
        failed |= {errors.TooSlow}  # a busy machine may need the whole of it to say no
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
                assert seconds < patience + 1.5, (what, error)  # a busy machine lets threads wait for their turn
                if text := re.search(r"\(\d+ tries in ([\d.]+) s\)", error.message):
                    assert float(text[1]) == pytest.approx(seconds, abs=1.5)
                elif text := re.search(r"no answer within ([\d.]+) s", error.message):
                    assert float(text[1]) <= seconds + 0.5


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
def test_with_patience_a_server_that_is_busy_is_tried_again(place: Place) -> None:
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
    monkeypatch.setattr(object_store, "UPLOAD_SECONDS", 1)
    monkeypatch.setattr(gcs, "CONNECT_TIMEOUT_SECONDS", 1.0)
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
def test_a_server_that_is_busy_is_tried_again(place: Place) -> None:
    place.write("busy", b"data")
    busy = [Fault("answer", method, times=2, status=503, body=b"<Error/>") for method in METHODS]
    with relayed(place, *busy) as (_, storage):
        assert storage.read("busy") == b"data"
        storage.create("new", b"data")
        storage.replace("beat", b"data")
    assert place.read("new") == place.read("beat") == b"data"
