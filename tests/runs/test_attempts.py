"""Which attempts a run has: those that runner counts, whatever else lies in their folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.runs import claims
from runner.runs.ends import RunFacts
from runner.runs.layout import Claim, RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.runs.stored_results import list_results

if TYPE_CHECKING:
    from support.places import Place

LAYOUT = RunLayout("etl", "r")
FACTS = RunFacts("etl", {"url": "s3://b/etl/v", "sha256": "0" * 64})
PLANTED = ["99999999999", "007", "7", "0000", "0003", "\u0660\u0660\u0660\u0661", "00002", "x"]


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(place: Place) -> RunStore:
    """A run that has one attempt, and folders that somebody made beside it."""
    opened = RunStore(place.open(), LAYOUT)
    assert isinstance(claim(opened, fresh=True), Claim)
    place.write(LAYOUT.result(1, "clean", None), b"x")
    for name in PLANTED:
        for key in ("claim.json", "results/clean.pkl", "results/clean/1.pkl"):
            place.write(f"{LAYOUT.attempts}{name}/{key}", b"{}")
    return opened


def claim(store: RunStore, *, fresh: bool) -> object:
    return claims.claim_run(store, lambda _claim: None, FACTS, fresh=fresh, interval=0.1)


def test_only_attempts_that_follow_one_another_are_listed(store: RunStore, place: Place) -> None:
    assert list(store.list_attempts()) == [1]
    place.write(LAYOUT.claim(2), b"{}")
    assert list(store.list_attempts()) == [1, 2, 3]


def test_an_attempt_has_more_digits_when_it_needs_them() -> None:
    names = [f"{number:04d}" for number in range(1, 10_003)]
    assert LAYOUT.attempts_among(names)[-1] == 10_002


def test_a_number_that_was_made_up_is_not_the_last_attempt(store: RunStore) -> None:
    status = run_status(store)
    assert (status.state, status.claim and status.claim["attempt"]) == ("running", 1)
    made = claim(store, fresh=False)
    assert isinstance(made, Claim)
    assert made.attempt == 2


def test_results_lie_under_the_keys_that_runner_gives_to_them(store: RunStore, place: Place) -> None:
    for name in ("clean/01", "clean/\u0661", "clean/1/2", "clean/x"):
        place.write(f"{LAYOUT.results(1)}{name}.pkl", b"x")
    assert [(key, entry.key) for key, entry in list_results(store)] == [
        (("clean", None), LAYOUT.result(1, "clean", None))
    ]


def test_of_two_results_the_later_attempts_comes_last(store: RunStore, place: Place) -> None:
    for number in (2, 3):
        place.write(LAYOUT.result(number, "clean", 10), b"x")
    found = [entry.key for key, entry in list_results(store) if key == ("clean", 10)]
    assert found == [LAYOUT.result(number, "clean", 10) for number in (2, 3)]


def test_parts_of_a_log_have_one_name_each(store: RunStore, place: Place) -> None:
    folder = LAYOUT.log(1, 1).rpartition("/")[0]
    for name in ("000001", "1", "2", "\u0663\u0663\u0663\u0663\u0663\u0663", "000004", "x"):
        place.write(f"{folder}/{name}.jsonl", b"{}")
    assert store.list_log_parts(1) == [1, 4]
