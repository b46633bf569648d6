"""``runner run``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


def test_run_takes_location_and_parameters(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    path = str(tmp_path / "storage" / "trouble")
    done = start({"RUNNER_STORAGE": "s3"}, "run", f"{here.url}/trouble", "-p", "kind=do well")
    assert done.code == 0, done
    assert done.lines[-1]["code"] == 0
    document = printed_json(start({}, "run", path, "-p", "kind=do well", "-p", 'file="x"', "--json"))
    schemas.validate("outcome", document)
    assert document["state"] == "succeeded"


def test_run_gives_the_exit_code_and_document_of_a_failure(here: Place) -> None:
    publish(here, "trouble.py")
    environ = located(here, "trouble") | {"RUNNER_PARAMETERS": '{"file": "why"}'}
    done = start(environ, "run", "-p", "kind=fail", "--json")
    assert done.code == 1
    document = json.loads(done.stdout)
    assert (document["exit_code"], document["state"]) == (1, "failed")
    assert "ValueError: why" in document["error"]["message"]
    killed = start(located(here, "trouble"), "run", "-p", "kind=be killed", "--json")
    assert json.loads(killed.stdout)["state"] == "crashed"
    nowhere = start(located(here, "none"), "run", "--json")
    assert (nowhere.code, json.loads(nowhere.stdout)) == (66, {"state": None, "exit_code": 66})


def test_run_of_another_run_does_not_print_that_ones_outcome(here: Place) -> None:
    publish(here, "trouble.py")
    environ = located(here, "trouble") | {"RUNNER_RUN_ID": "r"}
    assert start(environ, "run", "-p", "kind=do well").code == 0
    done = start(environ, "run", "-p", "kind=fail", "--json")
    assert (done.code, json.loads(done.stdout)) == (78, {"state": None, "exit_code": 78})


def test_run_says_what_is_wrong_with_parameters(here: Place) -> None:
    assert_refused(start(located(here, "x"), "run", "-p", "kind"), 2, "'kind' has no value", "-p NAME=VALUE")
    assert_refused(start({"RUNNER_PARAMETERS": "[]"}, "run", "x", "-p", "a=1"), 2, "RUNNER_PARAMETERS")
    assert_refused(start({"RUNNER_PARAMETERS": "{"}, "run", "x", "-p", "a=1"), 2, "RUNNER_PARAMETERS")


PRINTING = """
import os, subprocess
from runner import Flow, task
subprocess.run(["echo", "from a child process"])
os.write(1, b"from a descriptor\\n")
print("from the file")
@task
def printing():
    subprocess.run(["echo", "from a child process"])
    os.write(1, b"from a descriptor\\n")
    print("from a task")
with Flow("f") as flow:
    printing()
"""


def test_what_an_author_prints_never_stands_beside_the_json(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(PRINTING)
    built = start({}, "build", str(tmp_path / "flow.py"), "--storage", str(tmp_path / "store"), "--json")
    url = printed_json(built)["location"]
    ran = start({}, "run", url, "--json")
    assert printed_json(ran)["state"] == "succeeded"
    for done, last in ((built, "from the file"), (ran, "from a task")):
        printed = done.stderr.splitlines()
        assert {"from a child process", "from a descriptor", last} <= set(printed)
    assert "from a task" in start({}, "run", url).stdout


@pytest.mark.parametrize("closed", [1, 2])
def test_json_is_asked_for_also_where_a_standard_stream_is_closed(tmp_path: Path, closed: int) -> None:
    (tmp_path / "flow.py").write_text("print('said')\ndef job(): ...\n")
    command = ("build", f"{tmp_path / 'flow.py'}:job", "--storage", str(tmp_path / "store"), "--json")
    done = start({}, *command, preexec_fn=lambda: os.close(closed))
    assert done.code == 0, done
    assert closed == 1 or list(printed_json(done)["files"]) == ["flow.py"]


@pytest.mark.parametrize("command", ["run", "check", "ls", "inspect", "verify"])
def test_what_is_wrong_with_a_location_is_told_of_the_argument(command: str) -> None:
    done = run_command({}, command, "ftp://x/etl")
    assert_refused(done, 2, "'ftp://x/etl' is no location", "unknown scheme 'ftp'")
    assert "RUNNER_LOCATION" not in done.stderr


def test_a_wrong_location_in_the_environment_is_none_of_an_arguments_concern(ran: Place) -> None:
    wrong = {"RUNNER_STORAGE": "s4", "RUNNER_LOCATION": "ftp://x"}
    for arguments in (("ls", ran.url), ("show", run_url(ran)), ("check", f"{ran.url}/{ETL}")):
        assert run_command(wrong, *arguments).code == 0
    assert_refused(run_command(wrong, "show", "r"), 78, "RUNNER_STORAGE")


def test_a_retry_says_of_which_run_the_results_are(here: Place) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "fail"}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "trouble") | given).code == 1
    done = start({}, "retry", run_url(here, home="trouble"))
    assert "results of run r are there and need not be made again" in done.stdout
    assert "earlier attempts" not in done.stdout


def test_a_retry_from_a_task_by_its_name_runs_it_again(ran: Place) -> None:
    done = start(ran.environ, "retry", run_url(ran), "--from", "Load it", "--json")
    tasks = {task["task"]: task["tries"] for task in json.loads(done.stdout)["tasks"] if task["index"] is None}
    assert (tasks["extract"], tasks["load-it"]) == (0, 1), done


def test_a_retry_with_another_parameter_runs_again_what_depends_on_it_and_nothing_else(
    here: Place, tmp_path: Path
) -> None:
    source = """
from runner import Flow, Parameter, task

@task
def head(day): return f"head {day}"

@task
def side(place): return f"side {place}"

@task
def tail(text, wrong):
    if wrong:
        raise ValueError("as asked")
    return text

with Flow("parts") as flow:
    tail([head(Parameter("day", default=1)), side(Parameter("place", default="x"))], Parameter("wrong", default=False))
"""
    (tmp_path / "parts.py").write_text(source)
    assert start({}, "build", str(tmp_path / "parts.py"), "--storage", here.url).code == 0
    given = {"RUNNER_PARAMETERS": '{"wrong": true, "day": 2}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "parts") | given).code == 1
    url = run_url(here, home="parts")

    def retried(*arguments: str) -> dict[str, str]:
        done = start({}, "retry", url, "--json", *arguments)
        outcome = printed_json(done)
        assert done.code == 0, done
        run_of = {task["task"]: task["result"]["key"].split("/")[2] for task in outcome["tasks"]}
        return {task: "old" if run == "r" else "new" for task, run in run_of.items()} | {"run": outcome["run_id"]}

    first = retried("-p", "wrong=false")
    assert (first["head"], first["side"], first["tail"]) == ("old", "old", "new")
    second = retried("-p", "wrong=false", "-p", "day=3")
    assert (second["head"], second["side"], second["tail"]) == ("new", "old", "new")
    assert "head 3" in start({}, "result", f"{url.rpartition('/')[0]}/{second['run']}", "tail").stdout


@pytest.mark.parametrize("value", ["1e999", "NaN", '{"a": 1, "a": 2}', "[-Infinity]"])
def test_a_parameter_that_json_does_not_have_is_a_wrong_command_line(value: str) -> None:
    assert_refused(run_command({}, "run", "s3://b/k", "-p", f"x={value}"), 2, "parameter x: ")


def test_a_location_on_the_command_line_beats_a_file_that_cannot_be_read(here: Place) -> None:
    publish(here, "trouble.py")
    environ = {"RUNNER_LOCATION_FILE": "/none", "RUNNER_STORAGE_FILE": "/none"}
    assert start(environ, "run", f"{here.url}/trouble", "-p", "kind=do well").code == 0
