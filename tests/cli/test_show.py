"""``runner show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner import naming
from runner.launchers import Local
from runner.launchers.base import Sighting
from runner.launchers.start import end_launch, take_launch
from runner.limits import limit_of
from runner.runs import documents
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support import schemas
from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


def test_show_prints_state_and_tasks(ran: Place) -> None:
    text = start({}, "show", run_url(ran)).stdout
    assert "state    succeeded\nflow     E.T.L. täglich\n" in text
    assert "clean    succeeded (3 of 3)  3 " in text
    assert f"{run_url(ran)}/attempts/0001/results/clean/\n" in text
    assert f"{run_url(ran)}/attempts/0001/results/load-it.pkl\n" in text
    schemas.validate("outcome", printed_json(start({}, "show", run_url(ran), "--json")))


def test_show_takes_a_runs_id_where_the_environment_names_the_flow(ran: Place, tmp_path: Path) -> None:
    assert printed_json(run_command(located(ran, ETL), "show", "r", "--json"))["run_id"] == "r"
    original = ran.keys()
    [version] = [key for key in original if key.count("/") == 1]
    assert printed_json(run_command(located(ran, version), "show", "r", "--json"))["run_id"] == "r"
    elsewhere = located(ran, ETL) | {"RUNNER_RESULTS": str(tmp_path / "elsewhere"), "RUNNER_RUN_ID": "s"}
    assert start(elsewhere).code == 0
    assert printed_json(run_command(elsewhere, "show", "s", "--json"))["run_id"] == "s"
    assert_refused(run_command({}, "show", "r"), 2, "'r' is a run id", "RUNNER_LOCATION")
    assert_refused(run_command(located(ran, ETL), "show", "none"), 66, "there is no run none", "runner ls")
    assert_refused(run_command({}, "show", f"{ran.url}/{ETL}"), 2, "not the folder of a run")


def test_show_prints_the_error_and_the_users_traceback(here: Place) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "fail", "file": "why"}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "trouble") | given).code == 1
    text = run_command({}, "show", run_url(here, home="trouble")).stdout
    assert "exit     1\n" in text
    assert "error    task misbehave failed: ValueError: why\n" in text
    assert "\nmisbehave:\n  Traceback (most recent call last):\n" in text
    assert "trouble.py" in text


def test_show_of_a_run_that_is_not_over_says_who_holds_it(here: Place) -> None:
    publish(here, "trouble.py")
    killed = {"RUNNER_PARAMETERS": '{"kind": "be killed"}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "trouble") | killed).code == 137
    assert "state    crashed\n" in run_command({}, "show", run_url(here, home="trouble")).stdout
    claim = json.loads(here.read("trouble/runs/r/attempts/0001/claim.json"))
    second = claim | {"attempt": 2, "host": "elsewhere", "token": naming.new_token()}
    here.write("trouble/runs/r/attempts/0002/claim.json", documents.encode(second))
    text = run_command({}, "show", run_url(here, home="trouble")).stdout
    assert "state    running (beat 0 s ago)\nattempt  2, since" in text
    assert "on elsewhere" in text
    document = printed_json(run_command({}, "show", run_url(here, home="trouble"), "--json"))
    assert (document["state"], document["claim"]["attempt"]) == ("running", 2)


def test_show_of_a_living_run_lists_what_is_stored_so_far_in_the_shape_of_an_end(ran: Place) -> None:
    ended = printed_json(run_command({}, "show", run_url(ran), "--json"))
    end = f"{ETL}/runs/r/attempts/0001/end.json"
    for key in (end, f"{ETL}/runs/r/outcome.json"):
        ran.open().delete(key)
    living = printed_json(run_command({}, "show", run_url(ran), "--json"))
    assert living.keys() - ended.keys() == {"silent", "claim", "progress", "series"}
    assert not ended.keys() - living.keys()
    assert living["bundle"] == ended["bundle"]
    assert (living["attempt"], living["exit_code"], living["ended"]) == (1, None, None)
    stored = {(task["task"], task["index"]): task for task in ended["tasks"] if task["result"]}
    assert {(task["task"], task["index"]) for task in living["tasks"]} == stored.keys()
    for task in living["tasks"]:
        known = stored[task["task"], task["index"]]
        assert task.keys() == known.keys()
        assert task["result"]["key"] == known["result"]["key"]
        assert task["result"]["size"] == known["result"]["size"]
    text = run_command({}, "show", run_url(ran)).stdout
    assert "clean    succeeded (3 so far)  " in text
    assert f"{run_url(ran)}/attempts/0001/results/clean/\n" in text


@pytest.mark.parametrize("planted", [b'{"format": 9}', b"", b"x" * (limit_of("end") + 1)], ids=["old", "empty", "huge"])
def test_show_of_an_outcome_that_cannot_be_read_shows_the_last_attempts_end(ran: Place, planted: bytes) -> None:
    original = ran.read(f"{ETL}/runs/r/outcome.json")
    ran.write(f"{ETL}/runs/r/outcome.json", planted)
    done = run_command({}, "show", run_url(ran))
    told = run_command({}, "show", run_url(ran), "--json")
    ran.write(f"{ETL}/runs/r/outcome.json", original)
    assert (done.code, told.code) == (65, 65)
    assert "outcome  unreadable, so what follows is its last attempt's: file:///" in done.stdout
    assert "\nstate    succeeded\n" in done.stdout
    assert "clean    succeeded (3 of 3)  3 " in done.stdout
    document = json.loads(told.stdout)
    assert "outcome.json" in document.pop("unreadable")
    assert document == json.loads(original)


def test_show_of_a_run_of_which_nothing_can_be_read_says_so(ran: Place) -> None:
    for name in ("outcome.json", "attempts/0001/end.json"):
        original = ran.read(f"{ETL}/runs/r/{name}")
        ran.write(f"{ETL}/runs/r/{name}", b'{"format": 9}')
    assert_refused(run_command({}, "show", run_url(ran)), 65, "outcome.json cannot be read")
    for name in ("outcome.json", "attempts/0001/end.json"):
        ran.write(f"{ETL}/runs/r/{name}", original)


def test_show_of_tasks_that_a_clock_set_back_timed_shows_no_negative_time(ran: Place) -> None:
    [key] = [key for key in ran.keys() if key.endswith("outcome.json")]  # noqa: SIM118 - it is no dict
    outcome = json.loads(ran.read(key))
    for record in outcome["tasks"]:
        record["ended"] = "2026-01-01T00:00:00.000000+00:00"
    for copy in (key, key.replace("outcome.json", "attempts/0001/end.json")):
        ran.write(copy, json.dumps(outcome).encode())
    text = start({}, "show", run_url(ran)).stdout
    rows = text.partition("SECONDS")[2].splitlines()[1:]
    assert [row.split("  ") for row in rows if " -" in row] == []
    assert sum(" 0.00 " in row for row in rows) >= len({record["task"] for record in outcome["tasks"]}) - 1


def test_show_tells_of_launches_what_the_platform_said_and_the_remedy(ran: Place, tmp_path: Path) -> None:
    store = RunStore(ran.open(), RunLayout(ETL, "r"))
    assert printed_json(run_command(ran.environ, "show", run_url(ran), "--json")).get("launches") is None
    launch = take_launch(store, Local(), "org/runner:aws")
    assert launch is not None
    shown = run_command(ran.environ, "show", run_url(ran)).stdout
    assert launch.name in shown
    assert "nobody looked" in shown
    end_launch(
        store, launch, "never started", Sighting("waiting", "ErrImagePull", "no such image", None, ("Failed",)), []
    )
    shown = run_command(ran.environ, "show", run_url(ran)).stdout
    assert "never started (ErrImagePull: no such image)" in shown
    assert "event    Failed" in shown
    assert "remedy   Look at the image's name" in shown
    [told] = printed_json(run_command(ran.environ, "show", run_url(ran), "--json"))["launches"]
    assert (told["claim"]["image"], told["handle"], told["end"]["state"]) == ("org/runner:aws", None, "never started")
    ran.write(store.layout.launch_handle(1), b"no JSON")
    assert printed_json(run_command(ran.environ, "show", run_url(ran), "--json"))["launches"][0]["handle"] is None
    (tmp_path / "storage" / store.layout.launch_handle(1)).unlink()
