"""Runs that somebody ends from elsewhere, at every stage."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.runs import claims
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support.canary import Canary
from support.flows import outcome_of, publish
from support.scene import SIGNING, Scene
from support.starting import start
from support.steps import FOLDER, begin, calls, end_of, ended, go_on, holding, steps, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place
    from support.starting import Ran


pytestmark = pytest.mark.usefixtures("_documents_are_as_described")


def cancel(place: Place, *arguments: str, **environ: str) -> Ran:
    return start(place.environ | environ, "cancel", f"{place.url}/steps/runs/r", *arguments)


def ask_for(place: Place, notes: Path) -> None:
    """Write down what a run is to do, as whoever launches it does, and no more."""
    url = publish(place, "steps.py")
    store = RunStore(place.open(), RunLayout("steps", "r"))
    digest = hashlib.sha256(place.read(f"steps/{url.rpartition('/')[2]}")).hexdigest()
    given = {"folder": str(notes), "kind": "go on"}
    claims.begin_run(
        store,
        claims.new_request(
            "r",
            bundle={"url": url, "sha256": digest},
            parameters=given,
            executor="threads",
            reuse=None,
            labels=[],
            image=None,
        ),
    )


def test_a_run_that_lives_is_ended_from_elsewhere_and_never_run_again(place: Place, notes: Path) -> None:
    with holding(place, notes) as process:
        done = cancel(place, "--why", "it is the wrong month")
        assert (done.code, done.stdout) == (0, "run r is cancelled\n"), done
        assert ended(process).code == 143
    outcome = outcome_of(place, "r", "steps")
    assert (outcome["state"], outcome["exit_code"]) == ("cancelled", 143)
    assert outcome["cancel"]["why"] == "it is the wrong month"
    assert "it is the wrong month" in outcome["error"]["message"]
    assert {task["task"] for task in outcome["tasks"] if task["state"] == "succeeded"} >= {"first", "each", "after"}
    go_on(notes)
    before = calls(notes)
    again = start(steps(place, notes, "hold"))
    assert (again.code, calls(notes)) == (143, before), again
    assert "it is the wrong month" in again.stdout


def test_a_flow_that_does_not_listen_is_killed_after_its_grace(here: Place, notes: Path) -> None:
    with holding(here, notes, "hold in native code", RUNNER_GRACE="1") as process:
        assert cancel(here).code == 0
        assert ended(process).code == 143
    assert outcome_of(here, "r", "steps")["cancel"]["why"] is None


def test_a_run_that_nobody_began_is_concluded_by_whoever_cancels_it(place: Place, notes: Path) -> None:
    ask_for(place, notes)
    beat = {"RUNNER_HEARTBEAT": "1"}
    assert cancel(place, **beat).stdout == "run r is cancelled\n"
    assert outcome_of(place, "r", "steps")["state"] == "cancelled"
    assert start(steps(place, notes)).code == 143
    assert not (notes / "calls").exists()


def test_a_run_that_crashed_and_would_go_on_does_not(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    assert start(steps(here, notes, "abort")).code == 134
    assert cancel(here).code == 0
    before = calls(notes)
    assert start(steps(here, notes, "abort")).code == 143
    assert calls(notes) == before
    assert [end_of(here, attempt)["state"] for attempt in (1, 2)] == ["crashed", "cancelled"]


def test_a_run_whose_machine_is_gone_is_concluded_after_three_heartbeats(here: Place, notes: Path) -> None:
    with holding(here, notes) as process:
        process.kill()
        done = cancel(here)
    assert done.code == 0, done
    assert [end_of(here, attempt)["state"] for attempt in (1, 2)] == ["lost", "cancelled"]


def test_of_a_run_that_is_over_is_told_what_it_came_to(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    assert start(steps(here, notes)).code == 0
    before = here.read(FOLDER.outcome)
    done = cancel(here)
    assert done.code == 0
    assert done.stdout.startswith("run r is over since 20")
    assert ": succeeded" in done.stdout
    assert here.read(FOLDER.outcome) == before
    assert FOLDER.cancel not in set(here.keys())
    assert json.loads(cancel(here, "--json").stdout) == json.loads(before)


def test_the_first_who_cancels_is_the_one_that_is_told_of(here: Place, notes: Path) -> None:
    ask_for(here, notes)
    assert cancel(here, "--why", "first").code == 0
    again = cancel(here, "--why", "second")
    assert (again.code, "cancelled. the run was cancelled from" in again.stdout) == (0, True), again
    assert outcome_of(here, "r", "steps")["cancel"]["why"] == "first"


def test_two_who_cancel_at_once_write_one_outcome(here: Place, notes: Path) -> None:
    ask_for(here, notes)
    command = [sys.executable, "-m", "runner", "cancel", f"{here.url}/steps/runs/r", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert told == [outcome_of(here, "r", "steps")] * 2


def test_one_who_waits_no_longer_says_so_and_the_run_ends_all_the_same(here: Place, notes: Path) -> None:
    with holding(here, notes, "hold in native code", RUNNER_GRACE="3") as process:
        done = cancel(here, "--within", "0")
        assert (done.code, "has not after 0 s" in done.stderr) == (75, True), done
        assert ended(process).code == 143


def test_a_start_between_the_request_and_its_end_is_ended(here: Place, notes: Path) -> None:
    """Whoever cancelled was killed before it could conclude the run."""
    publish(here, "steps.py")
    here.write(FOLDER.cancel, json.dumps(request()).encode())
    assert ended(begin(steps(here, notes, "hold"))).code == 143
    assert outcome_of(here, "r", "steps")["cancel"]["by"]["host"] == "elsewhere"


def request(run_id: str = "r", **more: Any) -> dict[str, Any]:
    asked = "2026-11-27T00:00:00.000000+00:00"
    by = {"host": "elsewhere", "uid": None}
    return {"format": 1, "token": "0" * 32, "run_id": run_id, "requested": asked, "by": by, "why": None, **more}


@pytest.mark.parametrize(
    "planted",
    [b"", b"{}", b"[]", b"\xff" * 100, b" " * 5000, json.dumps(request("another")).encode()],
    ids=["empty", "no fields", "no object", "no text", "too large", "of another run"],
)
def test_what_is_no_request_ends_nothing_and_is_told(here: Place, notes: Path, planted: bytes) -> None:
    with holding(here, notes) as process:
        here.write(FOLDER.cancel, planted)
        wait_for(lambda: any("is not heard" in line for line in log_of(here)), process)
        go_on(notes)
        assert ended(process).code == 0
    assert sum("is not heard" in line for line in log_of(here)) == 1
    (notes.parent / "storage" / FOLDER.cancel).unlink()


def log_of(place: Place) -> list[str]:
    keys = [key for key in place.keys() if "/logs/" in key]  # noqa: SIM118 - it is no dict
    return [json.loads(line)["message"] for key in sorted(keys) for line in place.read(key).splitlines()]


def test_where_runs_are_signed_only_a_signed_request_is_heard(
    here: Place, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING)
    scene = Scene(here, notes, Canary(tmp_path))
    environ = scene.environ("hold")
    process = begin(environ)
    wait_for((notes / "holding").exists, process)
    here.write(FOLDER.cancel, json.dumps(request()).encode())
    wait_for(lambda: any("is not heard" in line for line in log_of(here)), process)
    assert process.poll() is None
    go_on(notes)
    assert ended(process).code == 0
    (notes.parent / "storage" / FOLDER.cancel).unlink()

    keys = {name: environ[name] for name in ("RUNNER_TRUSTED_KEYS", "RUNNER_SIGNING_KEY")}
    other = scene.environ("hold", RUNNER_RUN_ID="s")
    (notes / "go on").unlink()
    (notes / "holding").unlink()
    process = begin(other)
    wait_for((notes / "holding").exists, process)
    url = f"{here.url}/steps/runs/s"
    unsigned = start(here.environ | {"RUNNER_TRUSTED_KEYS": keys["RUNNER_TRUSTED_KEYS"]}, "cancel", url)
    assert (unsigned.code, "RUNNER_SIGNING_KEY" in unsigned.stderr) == (79, True), unsigned
    done = start(here.environ | keys, "cancel", url)
    assert done.code == 0, done
    assert ended(process).code == 143
    again = start(other)
    assert again.code == 143, again
