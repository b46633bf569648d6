"""A storage, or what stands before it, that answers writes with success and stores nothing: 0 is never the answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.canary import AUTHOR
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
        return start(located(through(place, relay.port, upstream), HOME) | {"RUNNER_PATIENCE": "1"} | environ)


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
    assert "runner retry" in done.error["message"] or "runner retry" in done.stdout
    made = start(place.environ, "retry", f"{place.url}/{HOME}/runs/r")
    assert made.code == 0, made


def test_an_outcome_that_is_eaten_when_an_end_is_repeated_is_missed(place: Place) -> None:
    """The first start left only its end; the next one makes the outcome of it, and tells 0 if it is there."""
    assert start_with(place, RUNNER_RUN_ID="r").code == 0
    place.open().delete(f"{HOME}/runs/r/outcome.json")
    done = start_with(place, *eaten("outcome.json"), RUNNER_RUN_ID="r")
    assert (done.code, "outcome.json is not there" in done.error["message"]) == (73, True)
    assert start(located(place, HOME) | {"RUNNER_RUN_ID": "r"}).code == 0


def test_a_results_signature_that_was_eaten_is_missed(place: Place) -> None:
    """Without it the result is none to whoever trusts keys."""
    signing = {"RUNNER_SIGNING_KEY": AUTHOR.file.decode(), "RUNNER_RUN_ID": "r"}
    done = start_with(place, *eaten("clean/1.pkl.sig", "clean%2F1.pkl.sig"), **signing)
    assert (done.code, "clean/1.pkl.sig, without which" in done.error["message"]) == (73, True)


def test_signed_results_cost_no_request_more_to_see(place: Place) -> None:
    publish(place, "etl.py")
    upstream = endpoint(place)
    with Relay(f"http://{upstream}") as relay:
        signing = {"RUNNER_SIGNING_KEY": AUTHOR.file.decode(), "RUNNER_RUN_ID": "r"}
        assert start(located(through(place, relay.port, upstream), HOME) | signing).code == 0
    assert not [path for method, path in relay.requests if method in {"GET", "HEAD"} and ".pkl" in path]


@pytest.mark.parametrize(
    "backend", ["s3"], indirect=True
)  # an account's key signs a body's length, and Google's is in parts
@pytest.mark.parametrize("words", ["clean/1.pkl", "outcome.json"])
def test_a_run_of_which_half_a_thing_was_stored_does_not_end_with_0(place: Place, words: str) -> None:
    """A body that ended early, or did not come at all, was stored and answered with success.

    https://github.com/versity/versitygw/pull/2415, https://github.com/s3fs-fuse/s3fs-fuse/issues/11,
    https://github.com/aws-amplify/aws-sdk-ios/issues/1707
    """
    done = start_with(place, Fault("halve", "PUT", words))
    assert done.code == 73, done


def test_what_was_stored_is_seen_beside_the_end_of_the_log(place: Place) -> None:
    """One line says so, and the log that was shipped has it as well."""
    publish(place, "etl.py")
    done = start(located(place, HOME) | {"RUNNER_RUN_ID": "r"})
    assert done.code == 0
    assert [line["code"] for line in done.lines if "code" in line] == [0]
    shipped = [json.loads(line) for line in place.read(f"{HOME}/runs/r/attempts/0001/logs/000001.jsonl").splitlines()]
    assert [line["code"] for line in shipped if "code" in line] == [0]
    assert shipped[-1]["last"] is True


def test_a_log_of_text_is_stored_as_it_was_written(here: Place) -> None:
    """Also its last line, which is the supervisor's own: it came out as one of another logger, and an error as INFO."""
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": json.dumps({"kind": "fail"}), "RUNNER_RUN_ID": "r", "RUNNER_LOG_FORMAT": "text"}
    done = start(located(here, "trouble") | given)
    stored = here.read("trouble/runs/r/attempts/0001/logs/000001.jsonl").splitlines()
    lines = [entry["message"] for entry in map(json.loads, stored) if "last" not in entry]
    assert lines == done.stdout.splitlines()
