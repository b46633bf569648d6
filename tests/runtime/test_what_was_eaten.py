"""A storage, or what stands before it, that answers writes with success and stores nothing: 0 is never the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.contract import CLOUDS, endpoint, through
from support.flows import located, publish
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from support.places import Place
    from support.starting import Ran

HOME = "e-t-l-taglich"


@pytest.fixture(params=CLOUDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start_with(place: Place, *faults: Fault, **environ: str) -> Ran:
    publish(place, "etl.py")
    upstream = endpoint(place)
    with Relay(f"http://{upstream}", *faults) as relay:
        return start(located(through(place, relay.port, upstream), HOME) | environ)


def eaten(*words: str) -> list[Fault]:
    return [Fault("eat", method, each) for method in ("PUT", "POST") for each in words]


@pytest.mark.parametrize(
    "words",
    [("/runs/", "runs%2F"), ("clean/1.pkl", "clean%2F1.pkl"), ("outcome.json",)],
    ids=["all", "one result", "the outcome"],
)
def test_a_run_whose_writes_are_eaten_does_not_end_with_0(place: Place, words: tuple[str, ...]) -> None:
    done = start_with(place, *eaten(*words))
    assert done.code == 73, done


def test_a_result_that_was_eaten_is_missed_by_the_next_start_too(place: Place) -> None:
    """Its outcome was stored and says that the run has succeeded; who repeats it looks as well."""
    done = start_with(place, *eaten("clean/1.pkl", "clean%2F1.pkl"), RUNNER_RUN_ID="r")
    assert done.code == 73
    assert "clean/1.pkl" in done.error["message"]
    again = start(located(place, HOME) | {"RUNNER_RUN_ID": "r"})
    assert (again.code, "which it lists, is not there" in again.error["message"]) == (73, True)


def test_what_was_stored_is_seen_beside_the_end_of_the_log(place: Place) -> None:
    """One line says so, and the log that was shipped has it as well."""
    publish(place, "etl.py")
    done = start(located(place, HOME) | {"RUNNER_RUN_ID": "r"})
    assert done.code == 0
    assert [line["code"] for line in done.lines if "code" in line] == [0]
    shipped = [json.loads(line) for line in place.read(f"{HOME}/runs/r/attempts/0001/logs/000001.jsonl").splitlines()]
    assert [line["code"] for line in shipped if "code" in line] == [0]
    assert shipped[-1]["last"] is True
