"""How what goes is removed: by a process that may die at any moment, while others read, begin and repeat runs."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from runner.pruning import plan, removal
from runner.runs.claims import claim_run
from runner.runs.ends import Concluded, RunFacts
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.settings import Settings
from support import process_runs, schemas
from support.agents import KILLED_LAUNCHER, Site
from support.canary import AUTHOR
from support.command_line import ETL, printed_json, run_command, run_url
from support.contract import DENIALS, endpoint, through
from support.flows import HERE, located, publish
from support.launching import wait_for
from support.memory.storage import BUCKETS, MemoryStorage
from support.pruned import (
    YOUNG,
    folder_of,
    names,
    prune,
    reasons,
    version,
    wait_in_queue,
    write_pointer,
    write_versions,
)
from support.run_documents import write_run
from support.starting import inherited, start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.places import Place

FACTS = RunFacts("etl", {"url": "file:///etl/v", "sha256": "0" * 64})
IN_MEMORY = pytest.mark.parametrize("backend", ["memory"], indirect=True)
STATES = ("--states", "succeeded,failed,crashed,asked-for,lost", "--older-than", "2026-11-01")


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Changes of a storage in this process's memory: before the one that is due, and ever after, all of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.due, self.made, self._turn = sys.maxsize, 0, threading.Lock()
        self.before: Callable[[str, str], None] = lambda _what, _key: None
        for what in ("_create", "_replace", "_delete"):
            monkeypatch.setattr(MemoryStorage, what, self._instrumented(what, getattr(MemoryStorage, what)))

    def _instrumented(self, what: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(storage: MemoryStorage, key: str, *arguments: Any) -> Any:
            self.before(what, key)
            with self._turn:
                if self.made >= self.due:
                    raise Killed
                self.made += 1
                return original(storage, key, *arguments)

        return step


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def write_flow(place: Place) -> None:
    """Write runs in all states that a run may be left in, some that repeat others, and versions."""
    write_versions(place, 1, 2, 3)
    write_run(place, "old", version=version(1))
    write_run(place, "repeats", version=version(1), reuse="old", began="2026-02-01T06:00:00.000000+00:00")
    write_run(place, "crashed", state="crashed", version=version(2))
    write_run(place, "asked", state=None, version=version(2))
    write_run(place, "young", began=YOUNG, version=version(3))
    write_run(place, "half", state="failed")
    place.open().delete("etl/runs/half/outcome.json")


@IN_MEMORY
def test_killed_before_any_step_and_begun_again_it_ends_with_the_same(place: Place, steps: Steps) -> None:
    """And at no moment is a run told to be what it is not, or one that any start would run."""
    states = {"old": "succeeded", "repeats": "succeeded", "half": "failed"}
    place.environ["RUNNER_HEARTBEAT"] = "0.05"
    write_flow(place)
    objects = BUCKETS[place.url.partition("://")[2]]
    before, steps.made = dict(objects), 0
    prune(place, *STATES)
    whole, after = steps.made, sorted(objects)
    assert {key.split("/")[2] for key in after if "/runs/" in key} == {"young"}
    assert whole > 35
    for due in range(whole + 1):
        objects.clear()
        objects.update(before)
        steps.made, steps.due = 0, due
        if due < whole:
            with pytest.raises(Killed):
                prune(place, *STATES)
        steps.due = sys.maxsize
        for run_id in {key.split("/")[2] for key in objects if "/runs/" in key} - {"young"}:
            store = RunStore(place.open(), RunLayout("etl", run_id))
            if run_id in states:
                assert run_status(store).state == states[run_id], due
                claim = claim_run(
                    RunStore(store.storage, store.layout), lambda _: None, FACTS, fresh=False, interval=1.0
                )
                assert isinstance(claim, Concluded), (due, run_id)
            elif store.read_request() is None:
                assert run_status(store).state == "cancelled", (due, run_id)
        for key in [key for key in objects if key.startswith("etl/runs/repeats/outcome")]:
            assert key.replace("outcome", "run") not in objects or "etl/runs/old/outcome.json" in objects
        prune(place, *STATES)
        assert sorted(objects) == after, due


@pytest.mark.parametrize("backend", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("moment", "step", "number"),
    [("after", "delete", 1), ("before", "delete", 9), ("after", "delete", 20), ("before", "list_folder", 5)],
)
def test_killed_for_good_it_goes_on(place: Place, tmp_path: Path, moment: str, step: str, number: int) -> None:
    write_flow(place)
    for path in (tmp_path / "storage").rglob("*"):
        os.utime(path, (0, 0))
    options = ["prune", place.url, *STATES, "--yes"]
    command = [sys.executable, KILLED_LAUNCHER, moment, step, str(number), *options]
    beats = {"RUNNER_HEARTBEAT": "0.2"}  # by which it is seen that who claimed a run to conclude it is dead
    done = subprocess.run(command, env=inherited() | beats, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done
    again = start(beats, *options)
    assert again.code == 0, again
    assert "stays" not in again.stderr, again
    assert [path.name for path in (tmp_path / "storage/etl/runs").iterdir()] == ["young"]
    assert sorted(path.name for path in (tmp_path / "storage/etl").glob("2026*")) == [version(3)]
    assert printed_json(run_command({}, "ls", f"{place.url}/etl", "--json"))["runs"][0]["run"] == "young"


@IN_MEMORY
def test_a_run_that_is_repeated_just_now_is_put_back(place: Place, steps: Steps) -> None:
    """Whoever repeats it has read its run.json, and written its own, before the first is gone."""
    write_versions(place, 1, 2)
    for run_id in ("old", "older", "oldest", "other"):
        source = {"old": "older", "older": "oldest"}.get(run_id)
        write_run(place, run_id, reuse=source, version=version(1))
    before = {key: place.read(key) for key in place.keys() if "/other/" not in key}  # noqa: SIM118

    def begin(what: str, key: str) -> None:
        if (what, key) == ("_delete", "etl/runs/old/run.json"):
            steps.before = lambda _what, _key: None
            write_run(place, "new", reuse="old", state=None, began=YOUNG, version=version(1))

    steps.before = begin
    done = prune(place)
    assert names(done["removed"]) == ["other"]
    assert reasons(done)["old"] == "run new, which stays, takes its results"
    assert reasons(done)["oldest"] == "run older, which stays, takes its results"
    assert reasons(done)[version(1)].endswith("is of it")
    assert {key: place.read(key) for key in before} == before


@IN_MEMORY
def test_a_run_that_is_submitted_again_just_now_waits_on(
    place: Place, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between plan and removal lies the time in which somebody is asked whether this is meant."""
    monkeypatch.setattr(removal, "BATCH", 1)
    write_run(place, "first", began="2026-02-01T06:00:00.000000+00:00", state=None)
    write_run(place, "second", state=None)

    def begin(_what: str, key: str) -> None:
        if key == "etl/runs/first/run.json":
            steps.before = lambda _what, _key: None
            wait_in_queue(place, "second")

    steps.before = begin
    done = prune(place, *STATES)
    assert names(done["removed"]) == ["first"]
    assert reasons(done) == {"second": "it waits in the queue"}
    assert folder_of(place, "second") == ["etl/runs/second/run.json"]


@IN_MEMORY
@pytest.mark.parametrize("batch", [1, 32])
def test_what_a_run_takes_that_does_not_go_after_all_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Both were to go, and then the one that takes the other's results was written to, or could not be removed."""
    monkeypatch.setattr(removal, "BATCH", batch)
    write_run(place, "old")
    write_run(place, "repeats", reuse="old")
    where = plan.Place(place.open(), "etl", Settings(environ={}), run_status)
    planned = plan.plan_flow(where, plan.Rules(None, "2026-11-01"))
    assert [item.name for item in planned.going] == ["repeats", "old"]
    place.write("etl/runs/repeats/attempts/0001/logs/000002.jsonl", b"{}\n")
    assert {result.item.name: result.kept for result in removal.remove(where, planned)} == {
        "repeats": "it was written to just now",
        "old": "run repeats, which stays, takes its results",
    }
    assert len(folder_of(place, "old")) == 7


@IN_MEMORY
def test_a_version_that_is_asked_for_or_promoted_just_now_is_kept(place: Place, steps: Steps) -> None:
    write_versions(place, 1, 2, 3, 4)
    write_run(place, "old", version=version(1))

    def begin(_what: str, key: str) -> None:
        if key == "etl/runs/old/outcome.json":
            steps.before = lambda _what, _key: None
            write_run(place, "submitted", state=None, began=YOUNG, version=version(1))
            write_pointer(place, 2, "prod")

    steps.before = begin
    done = prune(place)
    assert names(done["removed"]) == [version(3), "old"]
    assert reasons(done) == {
        version(1): "run submitted is of it",
        version(2): "the alias prod names it",
    }


@IN_MEMORY
def test_a_run_that_somebody_writes_to_just_now_is_kept(
    place: Place, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "BATCH", 1)
    write_run(place, "one")
    write_run(place, "two")

    def begin(_what: str, key: str) -> None:
        if key == "etl/runs/two/run.json":
            steps.before = lambda _what, _key: None
            place.write("etl/runs/one/attempts/0001/logs/000002.jsonl", b"{}\n")

    steps.before = begin
    done = prune(place)
    assert names(done["removed"]) == ["two"]
    assert reasons(done) == {"one": "it was written to just now"}
    assert len(folder_of(place, "one")) == 8


def test_two_that_prune_at_once_do_no_harm_and_the_next_one_ends_what_each_left_to_the_other(place: Place) -> None:
    write_versions(place, 1, 2)
    for number in range(12):
        write_run(place, f"r{number}", version=version(1))
    write_run(place, "young", began=YOUNG, version=version(2))
    with ThreadPoolExecutor(2) as pool:
        storages = [pool.submit(_prune_here, place) for _ in range(2)]
        done = [each.result() for each in storages]
    assert not [result.error for results in done for result in results if result.error]
    assert all(one["kind"] == "version" for one in prune(place)["removed"])
    assert {key.split("/")[2] for key in place.keys() if "/runs/" in key} == {"young"}  # noqa: SIM118
    assert [key for key in place.keys() if "/runs/" not in key] == [f"etl/{version(2)}"]  # noqa: SIM118


def _prune_here(place: Place) -> list[Any]:
    where = plan.Place(place.open(), "etl", Settings(environ=place.environ), run_status)
    return list(removal.remove(where, plan.plan_flow(where, plan.Rules(None, "2026-11-01"))))


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_a_run_that_works_meanwhile_is_safe(place: Place, tmp_path: Path) -> None:
    publish(place, "trouble.py")
    file = tmp_path / "began"
    with process_runs.begin(process_runs.trouble(place, "wait", file=str(file), RUNNER_GRACE="1")) as process:
        process_runs.wait_for(file, process)
        for states in ("succeeded", "lost,crashed,cancelled,refused,asked-for"):
            done = prune(place, "--older-than", "0s", "--states", states)
            assert done["removed"] == []
        assert reasons(prune(place, "--older-than", "0s"))["r"] in {"it is running", "it is stalled"}
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143
    assert process_runs.end_of(place)["state"] == "cancelled"
    assert names(prune(place, "--older-than", "0s", "--states", "cancelled")["removed"]) == ["r"]
    assert folder_of(place, "r", "trouble") == []


def test_runs_that_an_agent_works_on_go_when_it_has_done_with_them(here: Place, tmp_path: Path) -> None:
    """Whatever moment they are looked at; its markers and theirs say so, and no age."""
    site = Site(here, tmp_path / "launches").publish(concurrency={"max_runs": 2, "on_conflict": "wait"})
    removed: list[str] = []
    runs = [f"r{number}" for number in range(4)]

    def are_gone() -> bool:
        removed.extend(names(prune(here, "--older-than", "0s")["removed"]))
        return len(removed) >= len(runs)

    with site.agent("--concurrency", "3"):
        for run_id in runs:
            assert site.submit("ok", run_id).code == 0
        wait_for(are_gone)
    assert sorted(removed) == runs
    assert not [key for key in here.keys() if key.startswith("launched/runs/") and "_slots" not in key]  # noqa: SIM118
    assert not site.markers()


def test_a_run_that_was_removed_can_begin_anew(place: Place) -> None:
    publish(place, "etl.py")
    environ = located(place, ETL) | {"RUNNER_RUN_ID": "r"}
    assert start(environ).code == 0
    assert run_command(place.environ, "report", run_url(place)).code == 0
    assert names(prune(place, "--older-than", "0s")["removed"]) == ["r"]
    assert folder_of(place, "r", ETL) == []
    assert start(environ).code == 0
    schemas.validate_place(place)


def test_where_runs_are_signed_only_what_is_believed_goes(here: Place) -> None:
    signing = {"RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode()}
    trusting = signing | {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}
    built = start(signing, "build", str(HERE / "etl.py"), "--storage", here.url)
    assert built.code == 0, built
    for run_id in ("one", "two"):
        assert start(located(here, ETL) | trusting | {"RUNNER_RUN_ID": run_id}).code == 0
    write_run(here, "forged", home=ETL)
    write_run(here, "asked", home=ETL, state=None)
    here.environ.update(trusting)
    storage = here.open()
    storage.delete(f"{ETL}/runs/two/run.json")
    done = prune(here, "--older-than", "0s", "--states", "succeeded,asked-for")
    assert names(done["removed"]) == ["asked", "one", "two"]
    assert "nobody knows what it is" in reasons(done)["forged"]
    del here.environ["RUNNER_SIGNING_KEY"]
    write_run(here, "asked", home=ETL, state=None)
    refused = run_command(here.environ, "prune", here.url, "--older-than", "0s", "--states", "asked-for", "--yes")
    assert refused.code == 79, refused
    assert "without a key nobody would hear this" in refused.stderr
    assert len(folder_of(here, "asked", ETL)) == 1
    here.environ.clear()


@pytest.mark.parametrize("backend", ["s3", "azure", "gcs"], indirect=True)
def test_what_is_refused_is_told_and_the_rest_goes_later(place: Place) -> None:
    """A right that is missing, or an object that is locked."""
    write_versions(place, 1, 2)
    for run_id in ("one", "two"):
        write_run(place, run_id, version=version(1))
    method, words = (
        ("DELETE", "") if place.word == "gcs" else ("POST", "delete" if place.word == "s3" else "comp=batch")
    )
    upstream = endpoint(place)
    denied = Fault("answer", method, words, after=2, status=403, body=DENIALS[place.word])
    options = ("prune", place.url, "--older-than", "2026-11-01", "--yes", "--json")
    with Relay(f"http://{upstream}", denied) as relay:
        done = run_command(through(place, relay.port, upstream).environ, *options)
    assert done.code == 77, done
    assert '"failed": [{' in done.stdout or '"failed": [\n' in done.stdout
    for run_id in ("one", "two"):
        assert run_status(RunStore(place.open(), RunLayout("etl", run_id))).state == "succeeded"
    assert names(prune(place)["removed"]) == [version(1), "one", "two"]
    assert place.keys() == [f"etl/{version(2)}"]


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_a_flow_that_cannot_be_looked_at_keeps_no_other(place: Place) -> None:
    for home in ("etl", "other"):
        write_run(place, "old", home=home)
    upstream = endpoint(place)
    denied = Fault("answer", "GET", "prefix=other%2Fruns", status=403, body=DENIALS["s3"])
    with Relay(f"http://{upstream}", denied) as relay:
        environ = through(place, relay.port, upstream).environ
        done = run_command(environ, "prune", place.url, "--older-than", "2026-11-01", "--yes")
    assert done.code == 77, done
    assert f"{place.url}/other stays: " in done.stderr
    assert folder_of(place, "old") == []
    assert len(folder_of(place, "old", "other")) == 7


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_many_runs_take_few_requests(place: Place) -> None:
    def write(number: int) -> None:
        write_run(place, f"r{number:03d}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(150)))
    upstream = endpoint(place)
    with Relay(f"http://{upstream}") as relay:
        done = prune(through(place, relay.port, upstream))
        asked = [(method, "?list-type" in path or "list-type=2" in path) for method, path in relay.requests]
    assert done["freed"]["runs"] == 150
    assert place.keys() == []
    assert sum(is_list for _, is_list in asked) < 2.5 * 150
    assert asked.count(("GET", False)) == 4 * 150, "run.json and the outcome, before and right before"
    assert asked.count(("POST", False)) < 150 + 60


@IN_MEMORY
def test_a_thousand_runs_are_looked_at_and_removed(place: Place) -> None:
    for number in range(1000):
        write_run(place, f"r{number:04d}", began=f"2026-01-01T06:00:00.{number:06d}+00:00")
    assert prune(place, "--keep", "10")["freed"]["runs"] == 990
    assert {key.split("/")[2] for key in place.keys()} == {f"r{number:04d}" for number in range(990, 1000)}  # noqa: SIM118
