"""How many runs of a flow work at once: slots that are owned by runs, and freed by what becomes of these."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, errors
from runner.agents.runs import Runs
from runner.agents.slots import Slots
from runner.agents.stored import create_document
from runner.launchers import Local
from runner.launchers.base import Sighting
from runner.launchers.budgets import Budgets
from runner.launchers.order import Wishes
from runner.launchers.start import end_launch, take_launch
from runner.runs.claims import new_request
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.settings import Settings
from support import schemas
from support.agents import KEY, Site
from support.launching import wait_for
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.schema.documents import BundleReference, OnConflict
    from support.places import Place


BUNDLE: BundleReference = {"url": "file:///x", "sha256": "0" * 64}


def slots(place: Place, number: int = 1) -> Slots:
    return Slots(place.open(), KEY, range(number))


def asked_for(place: Place, *run_ids: str) -> None:
    for run_id in run_ids:
        request = new_request(
            run_id, bundle=BUNDLE, parameters={}, executor="threads", reuse=None, labels=[], image=None
        )
        RunStore(place.open(), RunLayout(KEY, run_id)).create_request(request)


def is_over(place: Place, run_id: str) -> None:
    end: dict[str, Any] = {
        "format": 1,
        "token": "0" * 32,
        "run_id": run_id,
        "attempt": 1,
        "started": "2026-11-28T06:00:00.000000+00:00",
        "ended": "2026-11-28T06:00:00.000000+00:00",
        "host": "h",
        "python": "3.11.7",
        "flow": KEY,
        "bundle": BUNDLE,
        "state": "succeeded",
        "exit_code": 0,
        "error": None,
        "tasks": [],
    }
    assert create_document(place.open(), RunLayout(KEY, run_id).outcome, end)


def test_a_slot_is_its_runs_until_that_is_over(here: Place) -> None:
    asked_for(here, "one", "two", "three")
    assert slots(here).take("one")
    assert slots(here).take("one")
    assert not slots(here).take("two")
    assert slots(here, 2).take("two")
    assert sorted(slots(here, 2).owners()) == ["one", "two"]
    assert not slots(here, 2).take("three")
    is_over(here, "one")
    assert slots(here, 2).take("three")
    assert sorted(slots(here, 2).owners()) == ["three", "two"]
    assert [key for key in here.keys() if "/0/" in key] == [f"{KEY}/runs/_slots/0/000002.json"]  # noqa: SIM118
    schemas.validate("slot", json.loads(here.read(f"{KEY}/runs/_slots/0/000002.json")))


def test_a_slot_is_free_when_its_run_was_given_up_and_not_while_that_is_asked_for_again(here: Place) -> None:
    asked_for(here, "one", "two")
    store = RunStore(here.open(), RunLayout(KEY, "one"))
    for _ in range(2):
        assert slots(here).take("one")
        assert not slots(here).take("two")
        launch = take_launch(store, Local(), None)
        assert launch
        assert not slots(here).take("two")
        end_launch(store, launch, "never started", Sighting("absent"), [], given_up=True)
        assert slots(here).owners() == []
    assert slots(here).take("two")
    assert not slots(here).take("one")


@pytest.mark.parametrize("damage", ["removed", "outcome", "run"])
def test_a_run_of_which_nothing_can_come_any_more_keeps_no_slot(here: Place, damage: str) -> None:
    """Whoever tidies up removes a run's folder, and knows of no slot."""
    asked_for(here, "one", "two")
    assert slots(here).take("one")
    assert not slots(here).take("two")
    if damage == "removed":
        here.open().delete(RunLayout(KEY, "one").run)
    else:
        here.write(f"{KEY}/runs/one/{damage}.json", b"{")
    assert slots(here).take("two")
    assert slots(here).owners() == ["two"]


def test_of_many_at_once_one_has_it(place: Place) -> None:
    for turn in range(3):
        names = [f"run-{turn}-{number}" for number in range(8)]
        asked_for(place, *names)
        with ThreadPoolExecutor(8) as pool:
            had = [
                name
                for name, has in zip(names, pool.map(lambda name: slots(place).take(name), names), strict=True)
                if has
            ]
        assert len(had) == 1
        assert slots(place).owners() == had
        is_over(place, had[0])


def test_what_a_stranger_put_there_is_a_turn_of_nobodys(here: Place) -> None:
    here.write(f"{KEY}/runs/_slots/0/000007.json", b"{")
    here.write(f"{KEY}/runs/_slots/0/x.json", b"{")
    asked_for(here, "one")
    assert slots(here).take("one")
    assert slots(here).owners() == ["one"]


@pytest.mark.parametrize("given", [{"max_runs": 0}, {"max_runs": True}, {"max_runs": "1"}, {"on_conflict": "queue"}])
def test_what_is_no_number_of_runs_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(errors.UsageError, match=next(iter(given))):
        Flow("f", **given)


@pytest.fixture
def site(here: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    yield Site(here, tmp_path / "launches").publish(concurrency={"max_runs": 1, "on_conflict": request.param})
    schemas.validate_place(here)


@pytest.mark.parametrize("site", ["wait"], indirect=True)
def test_one_too_many_waits_until_the_other_is_over(site: Site) -> None:
    site.submit("hold", "one")
    with site.agent():
        site.until_running("one")
        site.submit("ok", "two")
        wait_for(lambda: len(site.markers()) == 1)
        assert not site.store("two").list_launches()
        start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/one")
        assert site.until_over("one", "two") == {"one": "cancelled", "two": "succeeded"}


@pytest.mark.parametrize("site", ["skip"], indirect=True)
def test_or_is_skipped(site: Site) -> None:
    site.submit("hold", "one")
    with site.agent():
        site.until_running("one")
        site.submit("ok", "two")
        assert site.until_over("two") == {"two": "cancelled"}
        outcome = site.store("two").read_outcome()
        assert outcome is not None
        assert outcome["cancel"]["why"] == "skipped: one of 1 at once"
        assert not site.store("two").list_launches()
        start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/one")
        site.until_over("one")


def test_the_oldest_is_the_one_that_was_asked_for_first_whatever_it_is_called(here: Place, tmp_path: Path) -> None:
    """A newer run lost its place to one that had waited for longer, and of two the one of the first name did."""
    site = Site(here, tmp_path / "launches").publish(concurrency={"max_runs": 2, "on_conflict": "cancel_old"})
    site.submit("ok", "y", "-l", "night")
    with site.agent():
        for name in ("z", "a"):
            site.submit("hold", name)
            site.until_running(name)
        site.submit("hold", "m")
        assert site.until_over("z") == {"z": "cancelled"}
        site.until_running("m")
        with site.agent("-l", "night"):
            assert site.until_over("y") == {"y": "cancelled"}
        assert not site.store("y").list_launches()
        for name in ("a", "m"):
            assert site.store(name).read_outcome() is None
            start(here.environ, "cancel", site.store(name).url)
        site.until_over("a", "m")
    outcome = site.store("y").read_outcome()
    assert outcome is not None
    assert outcome["cancel"]["why"] == "for a and m, asked for later"
    schemas.validate_place(here)


@pytest.mark.parametrize("site", ["cancel_old"], indirect=True)
def test_or_takes_the_place_of_the_oldest(site: Site) -> None:
    site.submit("hold", "one")
    with site.agent():
        site.until_running("one")
        site.submit("ok", "two")
        assert site.until_over("one", "two") == {"one": "cancelled", "two": "succeeded"}


@pytest.mark.parametrize("site", ["wait"], indirect=True)
def test_a_run_that_is_given_up_keeps_no_other_from_its_place(site: Site) -> None:
    site.submit("segfault", "one")
    with site.agent():
        wait_for(lambda: bool(site.store("one").list_launches() and site.store("one").read_launch_end(1)))
        site.submit("ok", "two")
        assert site.until_over("two") == {"two": "succeeded"}
    assert site.store("one").read_outcome() is None


@pytest.mark.parametrize("on_conflict", ["wait", "skip", "cancel_old"])
def test_a_run_that_another_agent_gives_a_slot_just_now_has_its_place(
    here: Place, monkeypatch: pytest.MonkeyPatch, on_conflict: OnConflict
) -> None:
    """Two agents take it from the queue; the one that loses the slot's turn took the run for its own rival."""
    asked_for(here, "one")
    take = Slots.take
    monkeypatch.setattr(Slots, "take", lambda self, run_id: take(self, run_id) and False)
    settings = Settings.from_environ({}, needs_location=False)
    runs = Runs(here.open(), Local(), Wishes(), settings, Budgets(), print)
    marker: Any = {"home": KEY, "run_id": "one"}
    assert runs.has_place(marker, {"max_runs": 1, "on_conflict": on_conflict})
    assert RunStore(here.open(), RunLayout(KEY, "one")).read_cancel() is None
