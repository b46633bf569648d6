"""A storage that stores over what was to be created only if there is none: old MinIO and Ceph, and careless proxies."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runner.errors import AlreadyExists
from support.contract import CLOUDS, endpoint, through
from support.flows import located, outcome_of, publish
from support.places import unsigned
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place

HOME = "e-t-l-taglich"
METHODS = ("PUT", "POST")


@pytest.fixture(params=CLOUDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def before(place: Place, *faults: Fault) -> Iterator[tuple[Relay, dict[str, str]]]:
    """A relay before the storage, and the environment of a run through it."""
    upstream = endpoint(place)
    with Relay(f"http://{upstream}", *faults) as relay:
        yield relay, located(through(unsigned(place), relay.port, upstream), HOME)


def test_where_a_second_create_is_not_refused_no_start_of_a_named_run_claims_it(place: Place) -> None:
    publish(place, "etl.py")
    careless = [Fault("unconditional", method) for method in METHODS]
    with before(place, *careless) as (_, environ), ThreadPoolExecutor(3) as pool:
        starts = list(pool.map(lambda _: start(environ | {"RUNNER_RUN_ID": "r"}), range(3)))
        starts.append(start(environ | {"RUNNER_RUN_ID": "r"}))  # which finds what the run was begun with, and reads it
    assert [done.code for done in starts] == [78] * 4, starts
    assert all("two starts could both hold this run" in done.error["message"] for done in starts)
    assert [key for key in place.keys() if "/runs/" in key] == [f"{HOME}/runs/r/run.json"]  # noqa: SIM118


def test_a_run_whose_id_runner_makes_needs_no_proof(place: Place) -> None:
    publish(place, "etl.py")
    careless = [Fault("unconditional", method) for method in METHODS]
    with before(place, *careless) as (_, environ):
        assert start(environ).code == 0


def test_a_bundle_under_a_key_of_its_own_is_not_replaced_either(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = [Fault("unconditional", method) for method in METHODS]
    with before(place, *careless) as (_, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        publish(place, "etl.py", key="own")
        first = place.read("own")
        with pytest.raises(AlreadyExists, match="own exists already"):
            publish(place, "etl.py", key="own")
    assert place.read("own") == first


@pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)  # whose paths name the object
def test_the_proof_is_one_request_of_the_start_that_begins_a_run(place: Place) -> None:
    publish(place, "etl.py")
    counts = []
    with before(place) as (relay, environ):
        for named in ({"RUNNER_RUN_ID": "r"}, {"RUNNER_RUN_ID": "r"}, {}):
            relay.requests.clear()
            assert start(environ | named).code == 0
            counts.append(sum(method == "PUT" and "run.json" in path for method, path in relay.requests))
    assert counts == [2, 0, 1]
    assert outcome_of(place, "r", HOME)["state"] == "succeeded"


def test_an_answer_that_was_a_lie_is_no_proof_against_the_storage(place: Place) -> None:
    """The first create is answered with success, and nothing is stored; then the storage keeps its promises."""
    publish(place, "etl.py")
    method, words = {"s3": ("PUT", "run.json"), "azure": ("PUT", "run.json"), "gcs": ("POST", "uploadType")}[place.word]
    answer = json.dumps({"name": "run.json", "size": "1", "generation": "1"}).encode() if place.word == "gcs" else b""
    lie = Fault("answer", method, words, times=1, status=200 if place.word != "azure" else 201, body=answer)
    with before(place, lie) as (_, environ):
        done = start(environ | {"RUNNER_RUN_ID": "r"})
    assert done.code == 0, done
    assert f"{HOME}/runs/r/run.json" in place.keys()  # noqa: SIM118


def test_the_proof_survives_a_storage_that_fails_for_a_moment(place: Place) -> None:
    publish(place, "etl.py")
    method, words = {"s3": ("PUT", "run.json"), "azure": ("PUT", "run.json"), "gcs": ("POST", "uploadType")}[place.word]
    with before(place, Fault("answer", method, words, times=1, after=1, status=503)) as (_, environ):
        assert start(environ | {"RUNNER_RUN_ID": "r"}).code == 0
