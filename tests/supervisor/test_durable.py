"""Runs that are stopped, killed, started again and followed, through the entrypoint.

What many kills at random moments do to them is shown in ``tests/faults``.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support import schemas
from support.flows import outcome_of, publish
from support.places import Place, local_place
from support.servers.s3_as_aws import S3AsAws
from support.starting import KEPT, start
from support.steps import (
    FOLDER,
    begin,
    calls,
    end_of,
    ended,
    go_on,
    holding,
    lines_of,
    messages_of,
    steps,
    text_of,
    wait_for,
)

MB = 1024 * 1024


pytestmark = pytest.mark.usefixtures("_documents_are_as_described")


def peak(pid: int) -> int:
    """Give the bytes of memory that a process used at the most."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# Going on


def test_a_run_whose_machine_died_goes_on_with_what_is_durable(place: Place, notes: Path) -> None:
    with holding(place, notes) as process:
        process.kill()
    before = calls(notes)
    go_on(notes)
    again = start(steps(place, notes, "hold"))
    assert again.code == 0, again
    assert end_of(place)["state"] == "lost"
    assert calls(notes)[len(before) :] == ["last"]
    outcome = outcome_of(place, "r", "steps")
    keys = {task["task"]: task["result"] and task["result"]["key"] for task in outcome["tasks"]}
    assert keys["each"] == FOLDER.result(1, "each", 3)
    assert keys["last"] == FOLDER.result(2, "last", None)
    assert keys["unkept"] is None
    assert pickle.loads(place.read(keys["last"])) == 92
    assert outcome["attempt"] == 2


def test_an_element_whose_result_is_torn_or_gone_is_made_again(here: Place, notes: Path) -> None:
    with holding(here, notes) as process:
        process.kill()
    whole = here.read(FOLDER.result(1, "each", 0))
    here.write(FOLDER.result(1, "each", 0), whole[:-1])
    here.write(FOLDER.result(1, "each", 1), whole[:3] + b"\0" + whole[4:])
    before = calls(notes)
    go_on(notes)
    again = start(steps(here, notes, "hold"))
    assert again.code == 0, again
    assert sorted(calls(notes)[len(before) :]) == ["each[0]", "each[1]", "last"]
    assert sum("cannot be used" in line["message"] for line in again.lines) == 2
    assert pickle.loads(here.read(FOLDER.result(2, "last", None))) == 92


def test_what_is_not_kept_runs_again_if_something_needs_it(here: Place, notes: Path) -> None:
    with holding(here, notes) as process:
        process.kill()
    here.open().delete(FOLDER.result(1, "after", None))
    before = calls(notes)
    go_on(notes)
    assert start(steps(here, notes, "hold")).code == 0
    assert calls(notes)[len(before) :] == ["unkept", "after", "last"]


def test_a_run_that_goes_on_takes_its_parameters_from_its_beginning(here: Place, notes: Path) -> None:
    with holding(here, notes) as process:
        process.kill()
    go_on(notes)
    environ = steps(here, notes)
    other = start(environ)
    assert (other.code, "other parameters" in other.error["message"]) == (78, True)
    del environ["RUNNER_PARAMETERS"]
    assert start(environ).code == 0
    assert outcome_of(here, "r", "steps")["state"] == "succeeded"


def test_a_run_goes_on_by_its_url_alone_also_where_its_bundle_lies_elsewhere(
    here: Place, notes: Path, tmp_path: Path
) -> None:
    results = local_place(tmp_path / "results")
    with holding(here, notes, results=results) as process:
        process.kill()
    go_on(notes)
    done = start({"RUNNER_HEARTBEAT": "0.3"}, "run", "--resume", f"{results.url}/steps/runs/r")
    assert done.code == 0, done
    assert outcome_of(results, "r", "steps")["attempt"] == 2
    asked_wrong = start({}, "run", "--resume", f"{results.url}/steps/runs/r", "-p", "kind=hold")
    assert (asked_wrong.code, "neither a location nor parameters" in asked_wrong.stderr) == (2, True)


def test_a_retry_is_a_new_run_that_takes_what_the_old_one_has(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    assert start(steps(here, notes)).code == 0
    url = f"{here.url}/steps/runs/r"
    for arguments, ran in [
        ((), []),
        (("--from", "after"), ["unkept", "after", "last"]),
        (("--from", "last"), ["last"]),
    ]:
        before = calls(notes)
        done = start({}, "retry", url, *arguments, "--json")
        assert done.code == 0, done
        outcome = json.loads(done.stdout)
        assert calls(notes)[len(before) :] == ran
        assert outcome["run_id"] != "r"
        kept = [task["result"]["key"] for task in outcome["tasks"] if task["task"] == "first"]
        assert kept == [FOLDER.result(1, "first", None)]
        url = f"{here.url}/steps/runs/{outcome['run_id']}"  # of a retry as well
    unknown = start({}, "retry", url, "--from", "lats")
    assert unknown.code == 78
    assert "no task 'lats'. Its tasks are first," in unknown.error["message"]


def test_a_run_is_gone_on_with_and_retried_wherever_it_lies(place: Place, notes: Path) -> None:
    with holding(place, notes) as process:
        process.kill()
    go_on(notes)
    beat = {"RUNNER_HEARTBEAT": "1" if place.word == "gcs" else "0.3"}
    url = f"{place.url}/steps/runs/r"
    assert start(place.environ | beat, "run", "--resume", url).code == 0
    before = calls(notes)
    done = start(place.environ | beat, "retry", url, "--from", "last")
    assert done.code == 0, done
    assert calls(notes)[len(before) :] == ["last"]


def test_a_run_that_lives_is_not_retried(here: Place, notes: Path) -> None:
    with holding(here, notes):
        refused = start({}, "retry", f"{here.url}/steps/runs/r")
        assert (refused.code, "is not over" in refused.stderr) == (75, True)


def test_an_attempt_that_wakes_after_it_was_given_up_ends_itself_and_changes_nothing(here: Place, notes: Path) -> None:
    with holding(here, notes) as process:
        family = processes_of(process.pid)
        assert len(family) == 3
        for each in family:
            os.kill(each, signal.SIGSTOP)
        go_on(notes)
        assert start(steps(here, notes, "hold")).code == 0
        before = {key: here.read(key) for key in here.keys() if "0001" not in key}  # noqa: SIM118
        for each in family:
            os.kill(each, signal.SIGCONT)
        woken = ended(process)
    assert woken.code == 75, woken
    assert "goes on elsewhere" in woken.error["message"]
    assert {key: here.read(key) for key in here.keys() if "0001" not in key} == before  # noqa: SIM118


def processes_of(pid: int) -> list[int]:
    """Give a process and all that descend from it."""
    below = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return [pid, *(each for child in below for each in processes_of(int(child)))]


@pytest.mark.parametrize("backend", ["gcs"], indirect=True)
def test_heartbeats_too_fast_for_google_are_refused(place: Place, notes: Path) -> None:
    publish(place, "steps.py")
    refused = start(steps(place, notes, RUNNER_HEARTBEAT="0.5"))
    assert (refused.code, "one write a second" in refused.error["message"]) == (78, True)


# Being stopped


@pytest.mark.parametrize("executor", ["threads", "sequential"])
@pytest.mark.parametrize("kind", ["hold", "hold asleep"])
@pytest.mark.usefixtures("_unmeasured")  # see the marker of that name: what is measured hangs
def test_asked_to_stop_a_flow_ends_with_what_it_has(here: Place, notes: Path, kind: str, executor: str) -> None:
    with holding(here, notes, kind, RUNNER_GRACE="5", RUNNER_EXECUTOR=executor) as process:
        process.send_signal(signal.SIGTERM)
        assert ended(process).code == 143
    end = end_of(here)
    states = {task["task"]: task["state"] for task in end["tasks"]}
    assert (end["state"], states["after"], states["last"]) == ("cancelled", "succeeded", "cancelled")
    assert FOLDER.outcome not in here.keys()  # noqa: SIM118


@pytest.mark.usefixtures("_unmeasured")
def test_native_code_that_never_returns_is_stopped_as_well(here: Place, notes: Path) -> None:
    with holding(here, notes, "hold in native code", RUNNER_GRACE="1") as process:
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        done = ended(process)
    assert done.code == 143
    assert "hold_in_native_code" in done.stderr  # all threads' stacks
    assert any("hold_in_native_code" in message for message in messages_of(here))
    assert end_of(here)["state"] == "cancelled"


@pytest.mark.usefixtures("_unmeasured")
def test_out_of_time_in_native_code_the_outcome_lists_what_is_durable(here: Place, notes: Path) -> None:
    with holding(here, notes, "hold in native code", RUNNER_TIMEOUT="8", RUNNER_GRACE="0.5") as process:
        assert ended(process).code == 124
    outcome = outcome_of(here, "r", "steps")
    assert outcome["state"] == "timed_out"
    kept = {(task["task"], task["index"]): pickle.loads(here.read(task["result"]["key"])) for task in outcome["tasks"]}
    assert kept == {("first", None): 10, ("after", None): 92} | {("each", index): 10 + index for index in range(4)}


@pytest.mark.usefixtures("_unmeasured")
def test_asked_twice_a_flow_is_killed_at_once(here: Place, notes: Path) -> None:
    with holding(here, notes, "hold asleep", RUNNER_GRACE="100") as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert ended(process).code in {130, 143}  # of two that came at once the kernel chooses the first
    assert end_of(here)["state"] == "cancelled"


@pytest.mark.parametrize("victim", ["supervisor", "reaper", "flow"])
def test_nothing_that_a_flow_started_outlives_it(here: Place, notes: Path, victim: str) -> None:
    with holding(here, notes, "leave processes") as process:
        family = processes_of(process.pid)
        assert len(family) == 5
        os.kill(family[["supervisor", "reaper", "flow"].index(victim)], signal.SIGKILL)
        assert process.wait() == (-9 if victim == "supervisor" else 137)
        wait_for(lambda: not any(map(lives, family)))


def lives(pid: int) -> bool:
    stat = text_of(Path(f"/proc/{pid}/stat"))
    return bool(stat) and stat.rpartition(")")[2].split()[0] != "Z"


# Dying


@pytest.mark.parametrize(
    ("kind", "code", "state", "trace"),
    [
        ("overflow the stack", 139, "crashed", "deeper"),
        ("abort", 134, "crashed", "in abort"),
        ("leave at once", 1, "failed", None),
    ],
)
def test_what_is_known_of_a_death_is_kept(
    here: Place, notes: Path, kind: str, code: int, state: str, trace: str | None
) -> None:
    publish(here, "steps.py")
    # only the main thread has a second stack, on which to tell of one that overflowed
    done = start(steps(here, notes, kind, RUNNER_EXECUTOR="sequential"))
    assert done.code == code, done
    end = end_of(here)
    assert (end["state"], end["exit_code"]) == (state, code)
    assert trace is None or trace in end["death"]["trace"]
    assert end["death"]["peak_memory"] > 10 * MB
    assert "task after succeeded" in end["death"]["log"]
    shown = start({}, "show", f"{here.url}/steps/runs/r").stdout
    assert "task after succeeded" in shown
    assert trace is None or trace in shown


# What it writes


def test_all_that_is_written_is_shipped_to_the_last_byte(place: Place, notes: Path) -> None:
    publish(place, "steps.py")
    done = start(steps(place, notes, "write everywhere"))
    assert done.code == 137
    written = messages_of(place)
    printed = ["printed", "from native code", "from another process", "not UTF-8: \\xff", "the last bytes"]
    assert [line for line in written if line != "to standard error"] == printed
    assert "to standard error" in written
    assert "to standard error" in done.stderr
    assert "the last bytes" in done.stdout
    assert lines_of(place)[-2]["code"] == 137
    assert lines_of(place)[-1]["last"] is True
    assert "the last bytes" in end_of(place)["death"]["log"]


def test_json_that_a_flow_prints_is_shown_as_it_was_printed(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    assert start(steps(here, notes, "print json")).code == 0
    shown = start({}, "logs", f"{here.url}/steps/runs/r")
    assert shown.code == 0, shown
    printed = ['{"rows": 6, "stream": "x"}', '{"rows": 5, "last": true}', '{"exception": ["a"]}', '{"a": 1}\r{"b": 2}']
    assert messages_of(here) == printed
    assert all(line in shown.stdout for line in printed[:3])
    assert shown.stdout.splitlines()[-1].endswith("outcome.json")


def test_a_log_that_somebody_planted_is_shown_as_far_as_it_goes(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    assert start(steps(here, notes)).code == 0
    logs = sorted(key for key in here.keys() if "/logs/" in key)  # noqa: SIM118
    planted = [b"no json", b"[1]", b"\xff", b'{"stream": "x"}', b'{"level": {}, "exception": 5}', b"[" * 20_000]
    here.write(logs[-1].replace("000001", "000002"), b"\n".join(planted))
    whole = here.read(logs[0]).replace(b'"last": true', b'"last": false')
    here.write(logs[0], whole)
    shown = start({}, "logs", f"{here.url}/steps/runs/r")
    assert shown.code == 0, shown
    assert "no json\n[1]\n\\xff\n" in shown.stdout
    here.open().delete(logs[-1].replace("000001", "000002"))


def test_a_flood_of_output_is_shipped_whole_and_does_not_grow_the_supervisor(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    process = begin(steps(here, notes, "flood"), stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            most = max(most, peak(process.pid))
        except (FileNotFoundError, ValueError):
            break
        time.sleep(0.02)
    assert ended(process).code == 0
    assert len(messages_of(here)) == 300_000
    assert most < 45 * MB


def test_a_secret_is_redacted_also_where_it_comes_in_halves(here: Place, notes: Path) -> None:
    publish(here, "steps.py")
    environ = steps(here, notes, "tell a secret in halves", RUNNER_SECRETS="PASSWORD", PASSWORD="correct-horse")
    done = start(environ)
    assert done.code == 0, done
    assert "it is *** indeed" in done.stdout.splitlines()
    assert messages_of(here) == ["it is *** indeed"]


def test_a_live_run_is_followed_from_elsewhere(place: Place, notes: Path) -> None:
    with holding(place, notes, RUNNER_HEARTBEAT="1") as process:
        url = f"{place.url}/steps/runs/r"
        follower = begin_looking(place, "logs", "-f", url)
        shown = wait_for(
            lambda: "running" in (reported := start(place.environ, "show", url).stdout) and reported, process
        )
        assert "beat" in shown
        assert "running (beat" in start(place.environ, "ls", f"{place.url}/steps").stdout
        go_on(notes)
        assert ended(process).code == 0
        followed = ended(follower)
    assert followed.code == 0
    assert "after: task after succeeded" in followed.stdout
    assert followed.stdout.splitlines()[-1].endswith("outcome.json")
    assert followed.stderr.splitlines() == ["-- run r: succeeded"]
    stored = start(place.environ, "logs", url, "--json").stdout.splitlines()
    assert [json.loads(line) for line in stored] == lines_of(place)


def begin_looking(place: Place, *arguments: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [sys.executable, "-m", "runner", *arguments]
    return subprocess.Popen(
        command, env=kept | place.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_run_without_a_sign_of_life_is_said_to_be_stalled_and_then_lost(here: Place, notes: Path) -> None:
    with holding(here, notes, RUNNER_HEARTBEAT="3") as process:  # time for looks in between
        process.kill()
    url = f"{here.url}/steps/runs/r"
    reported = [start({}, "show", url).stdout]
    while "lost" not in reported[-1]:
        reported.append(start({}, "show", url).stdout)
    assert any("stalled (no beat for" in each for each in reported)
    assert "lost (no beat for" in reported[-1]
    assert json.loads(start({}, "show", url, "--json").stdout)["state"] == "lost"
    followed = start({}, "logs", "-f", url)
    assert "lost (no beat" in followed.stderr


# When storage is gone


def test_an_outcome_that_cannot_be_stored_is_printed_and_kept(tmp_path: Path, notes: Path) -> None:
    place = local_place(tmp_path / "storage")
    publish(place, "steps.py")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with S3AsAws() as s3:
        s3.objects |= {key: place.read(key) for key in place.keys()}  # noqa: SIM118 - it is no dict
        answer = s3._act

        def act(request: Any) -> Any:
            s3.can_write = "end.json" not in request.key
            return answer(request)

        s3._act = act  # type: ignore[method-assign]
        environ = steps(place, notes, RUNNER_PATIENCE="1") | s3.server.environ | {"TMPDIR": str(temporary)}
        del environ["RUNNER_STORAGE"]
        environ["RUNNER_LOCATION"] = f"s3://{s3.bucket}/steps"
        done = start(environ)
        assert done.code == 73
        [printed] = [document for document in done.lines if "tasks" in document]
        schemas.validate("end", printed)
        assert (printed["state"], len(printed["tasks"])) == ("succeeded", 8)
        [kept] = temporary.glob("runner-r-1.json")
        assert json.loads(kept.read_text()) == printed
        assert any(str(kept) in line.get("message", "") for line in done.lines)
        s3._act = answer  # type: ignore[method-assign]
        s3.can_write = True
        assert start(environ).code == 0
    assert not list(temporary.iterdir())


# How much it needs


GOOGLE_ALONE = """
import sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
options = {"api_endpoint": sys.argv[1]}
client = storage.Client(project="none", credentials=AnonymousCredentials(), client_options=options)
client.bucket("none").blob("none").exists()
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak_of_supervisor(place: Place, notes: Path) -> int:
    """Give the bytes that a supervisor used at the most when it has beaten and shipped."""
    with holding(place, notes) as process:
        wait_for(lambda: FOLDER.beat(1) in place.keys() and lines_of(place), process)  # noqa: SIM118
        most = peak(process.pid)
        go_on(notes)
        assert ended(process).code == 0
    return most


@pytest.mark.parametrize("backend", ["local", "s3", "azure"], indirect=True)
@pytest.mark.usefixtures("_unmeasured")
def test_the_supervisor_stays_small(place: Place, notes: Path) -> None:
    assert peak_of_supervisor(place, notes) <= 30 * MB


@pytest.mark.parametrize("backend", ["gcs"], indirect=True)
@pytest.mark.usefixtures("_unmeasured")
def test_with_an_sdk_the_supervisor_needs_little_more_than_that(place: Place, notes: Path) -> None:
    command = [sys.executable, "-c", GOOGLE_ALONE, place.environ["STORAGE_EMULATOR_HOST"]]
    floor = int(subprocess.run(command, capture_output=True, check=True).stdout) * 1024
    assert peak_of_supervisor(place, notes) <= floor + 10 * MB
