"""Every command as a user types it, with and without --json."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import cloudpickle
import pytest

from runner import __version__, cli, naming
from runner.cli.format import size_text
from runner.runs import documents
from support import schemas
from support.flows import HERE, located, publish
from support.places import Place, local_place
from support.servers.s3_as_aws import S3AsAws
from support.starting import Ran, start

if TYPE_CHECKING:
    from collections.abc import Iterator

ETL = "e-t-l-taglich"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = local_place(tmp_path / "storage")
    yield place
    schemas.validate_place(place)


@pytest.fixture
def ran(here: Place) -> Place:
    """A place in which etl.py was published and run as r."""
    publish(here, "etl.py")
    assert start(located(here, ETL) | {"RUNNER_RUN_ID": "r"}).code == 0
    return here


def look(environ: dict[str, str], *arguments: str, cwd: Path | None = None) -> Ran:
    """Do what a command line says in this process, which takes a tenth of the time."""
    stdout, stderr = TextIOWrapper(BytesIO(), "utf-8", newline="\n"), StringIO()
    with (
        mock.patch.dict(os.environ, environ),
        mock.patch.object(sys, "argv", ["runner", *arguments]),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        chdir(cwd or Path.cwd()),
    ):
        code = cli.main()
    stdout.flush()
    return Ran(code, stdout.buffer.getvalue().decode(), stderr.getvalue())


def told(done: Ran) -> Any:
    """Give what --json printed: one JSON document and nothing beside it."""
    assert done.code == 0, done
    return json.loads(done.stdout)


def refused(done: Ran, code: int, *said: str) -> None:
    """See that a command failed with one sentence on standard error, which is no traceback."""
    assert done.code == code, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in said), done.stderr


def run_url(place: Place, run_id: str = "r", home: str = ETL) -> str:
    return f"{place.url}/{home}/runs/{run_id}"


# Help


def test_help_fits_a_screen() -> None:
    done = start({"COLUMNS": "80"}, "--help")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for command in ("run", "build", "inspect", "ls", "show", "result", "version"):
        assert f"\n  {command} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("command", ["run", "build", "inspect", "ls", "show", "result", "version"])
def test_every_command_has_help_and_takes_json(command: str) -> None:
    done = look({}, command, "--help")
    assert done.code == 0
    assert "--json" in done.stdout


def test_a_command_that_is_not_known_is_a_wrong_command_line() -> None:
    refused(look({}, "rnu"), 2, "No such command 'rnu'")
    refused(look({}, "ls"), 2, "Missing argument 'URL'")


def test_version_tells_runner_and_python() -> None:
    assert f"runner {__version__}\npython 3." in start({}, "version").stdout
    assert told(start({}, "version", "--json"))["runner"] == __version__


# runner build


def test_build_publishes_a_file_and_prints_where(tmp_path: Path) -> None:
    shutil.copytree(HERE / "modular", tmp_path / "project")
    url = (tmp_path / "store").as_uri()
    done = start({}, "build", "modular.py", "--storage", url, cwd=tmp_path / "project")
    assert done.code == 0, done
    (location,) = done.stdout.splitlines()
    assert location.startswith(f"{url}/modular/")
    assert "takes along shipped/data/words.txt (14 bytes)" in done.stderr
    assert start({"RUNNER_LOCATION": location}).code == 0

    more = ("--include", "shipped/data", "--exclude", "*.txt", "--json")
    document = told(start({}, "build", str(tmp_path / "project" / "modular.py"), "--storage", url, *more))
    assert sorted(document["files"]) == ["shipped/__init__.py", "shipped/late.py"]
    schemas.validate("manifest", document["manifest"])


def test_build_chooses_by_name_and_takes_functions(tmp_path: Path) -> None:
    file = tmp_path / "jobs.py"
    file.write_text(
        "from runner import Flow\na = Flow('first flow')\nb = Flow('second')\ndef job(day):\n    return day\n"
    )
    url = (tmp_path / "store").as_uri()
    for name, slug in [("first flow", "first-flow"), ("b", "second"), ("job", "job")]:
        done = start({}, "build", f"{file}:{name}", "--storage", url)
        assert done.stdout.startswith(f"{url}/{slug}/"), done
    refused(start({}, "build", str(file)), 2, "several flows", "jobs.py:NAME", "first flow, second")
    refused(start({}, "build", f"{file}:c"), 2, "'c'", "first flow, second")
    refused(start({}, "build", f"{file}:a", "--storage", "ftp://x"), 2, "unknown scheme 'ftp'")


@pytest.mark.parametrize("name", ["my.flow.py", "my-flow.py", "json.py", "pack/my.flow.py"])
def test_build_takes_files_whose_names_no_import_statement_could_hold(tmp_path: Path, name: str) -> None:
    """Or whose name is taken by a module that the flow may need."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    if file.parent != tmp_path:
        (file.parent / "__init__.py").touch()
    file.write_text("import json\ndef job():\n    return json.dumps(1)\n")
    done = start({}, "build", f"{file}:job", "--storage", (tmp_path / "store").as_uri())
    assert done.code == 0, done
    assert start({"RUNNER_LOCATION": done.stdout.strip()}, cwd=tmp_path / "store").code == 0


def test_build_loads_a_file_under_the_name_by_which_others_import_it(tmp_path: Path) -> None:
    (tmp_path / "etl.py").write_text("print(__name__)\nimport helper\ndef job():\n    return helper\n")
    (tmp_path / "helper.py").write_text("import etl\n")
    for path in ("", str(tmp_path)):  # also where the file's folder is on the path already
        done = start({"PYTHONPATH": path}, "build", f"{tmp_path / 'etl.py'}:job", "--storage", str(tmp_path / "store"))
        assert done.stdout.splitlines()[:-1] == ["etl"], done  # and not once more under another name


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("from runner import Flow\n", 2, "no flow"),
        ("syntax error\n", 1, "SyntaxError"),
        ("import not_installed_here\n", 1, "not_installed_here"),
        ("import sys\nsys.exit(0)\n", 1, "SystemExit"),
        ("from runner import Flow\nflow = Flow('a')\nflow.storage.build()\n", 2, "while a flow is being loaded"),
        ("from runner import Flow, task\nflow = Flow('')\n", 2, "neither a letter nor a digit"),
    ],
)
def test_build_says_what_is_wrong_with_a_file(tmp_path: Path, text: str, code: int, said: str) -> None:
    (tmp_path / "flow.py").write_text(text)
    refused(start({}, "build", str(tmp_path / "flow.py")), code, said)


AS_ON_WINDOWS = """
import os, signal, sys
for module, names in [(os, "fork geteuid getuid"), (signal, "SIGHUP SIGCHLD SIGKILL pthread_sigmask sigtimedwait")]:
    for name in names.split():
        delattr(module, name)
sys.modules |= dict.fromkeys(["fcntl", "pwd", "resource", "termios"])
from runner.cli import main
sys.exit(main())
"""


def test_build_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("def job(): ...\n")
    command = [sys.executable, "-c", AS_ON_WINDOWS, "build", f"{tmp_path / 'flow.py'}:job"]
    command += ["--storage", str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_build_of_no_file_is_a_wrong_command_line() -> None:
    refused(start({}, "build", "none.py:flow"), 2, "there is no file none.py")


# runner run


def test_run_takes_location_and_parameters(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    path = str(tmp_path / "storage" / "trouble")
    done = start({"RUNNER_STORAGE": "s3"}, "run", f"{here.url}/trouble", "-p", "kind=do well")
    assert done.code == 0, done
    assert done.lines[-1]["code"] == 0
    document = told(start({}, "run", path, "-p", "kind=do well", "-p", 'file="x"', "--json"))
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
    refused(start(located(here, "x"), "run", "-p", "kind"), 2, "'kind' has no value", "-p NAME=VALUE")
    refused(start({"RUNNER_PARAMETERS": "[]"}, "run", "x", "-p", "a=1"), 2, "RUNNER_PARAMETERS")
    refused(start({"RUNNER_PARAMETERS": "{"}, "run", "x", "-p", "a=1"), 2, "RUNNER_PARAMETERS")


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
    url = told(built)["location"]
    ran = start({}, "run", url, "--json")
    assert told(ran)["state"] == "succeeded"
    for done, last in ((built, "from the file"), (ran, "from a task")):
        said = done.stderr.splitlines()
        assert {"from a child process", "from a descriptor", last} <= set(said)
    assert "from a task" in start({}, "run", url).stdout


@pytest.mark.parametrize("closed", [1, 2])
def test_json_is_asked_for_also_where_a_standard_stream_is_closed(tmp_path: Path, closed: int) -> None:
    (tmp_path / "flow.py").write_text("print('said')\ndef job(): ...\n")
    command = ("build", f"{tmp_path / 'flow.py'}:job", "--storage", str(tmp_path / "store"), "--json")
    done = start({}, *command, preexec_fn=lambda: os.close(closed))
    assert done.code == 0, done
    assert closed == 1 or told(done)["files"] == {}


# runner inspect


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_inspect_shows_the_manifest_and_digests(place: Place) -> None:
    url = publish(place, "etl.py")
    text = look(place.environ, "inspect", url).stdout
    assert f"location: {url}\n" in text
    assert "name: E.T.L. täglich\n" in text
    assert "- task: clean, name: clean, mapped: True, upstream: extract\n" in text
    document = told(look(place.environ, "inspect", f"{place.url}/{ETL}", "--json"))
    schemas.validate("manifest", document["manifest"])
    assert document["location"] == url


def test_inspect_unpickles_nothing(here: Place, tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    pickled = (
        b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c" + bytes([len(str(marker))]) + str(marker).encode() + b"\x85R."
    )
    here.write("raw/one", pickled)
    done = look({}, "inspect", f"{here.url}/raw/one")
    assert "nothing of it can be verified" in done.stdout
    assert "imports: posix\n" in done.stdout
    assert not marker.exists()
    pickle.loads(pickled)
    assert marker.exists()  # it would have


def test_inspect_refuses_what_is_damaged(here: Place) -> None:
    url = publish(here, "etl.py")
    data = bytearray(here.read(f"{ETL}/{url.rpartition('/')[2]}"))
    data[-1] ^= 1
    here.write("bad/bundle", bytes(data))
    here.write("bad/pickle", cloudpickle.dumps([1])[:-1])
    refused(look({}, "inspect", f"{here.url}/bad/bundle"), 65, "corrupt")
    refused(look({}, "inspect", f"{here.url}/bad/pickle"), 65, "no whole pickle")
    done = look({}, "inspect", f"{here.url}/bad/bundle", "--json")
    document = json.loads(done.stdout)
    assert (done.code, document["error"], document["exit_code"]) == (65, "BundleCorrupt", 65)


# runner ls


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_ls_lists_flows_then_versions_and_runs(place: Place) -> None:
    url = publish(place, "etl.py")
    newest = publish(place, "etl.py")
    publish(place, "trouble.py")
    assert start(located(place, ETL) | {"RUNNER_RUN_ID": "r"}).code == 0
    flows = told(look(place.environ, "ls", place.url, "--json"))["flows"]
    assert [(flow["flow"], flow["versions"]) for flow in flows] == [(ETL, 2), ("trouble", 1)]
    assert flows[0]["newest"] == newest.rpartition("/")[2]
    listed = told(look(place.environ, "ls", f"{place.url}/{ETL}", "--json"))
    assert [version["location"] for version in listed["versions"]] == [url, newest]
    assert [(run["run"], run["state"], run["url"]) for run in listed["runs"]] == [("r", "succeeded", run_url(place))]
    text = look(place.environ, "ls", f"{place.url}/{ETL}").stdout
    assert newest.rpartition("/")[2] in text
    assert f"r    succeeded  {listed['runs'][0]['began']}  {run_url(place)}\n" in text
    assert f"\n{ETL}  2         " in look(place.environ, "ls", place.url).stdout


def test_ls_shows_what_it_can_where_a_run_cannot_be_read(ran: Place) -> None:
    assert start(located(ran, ETL) | {"RUNNER_RUN_ID": "s"}).code == 0
    kept = ran.read(f"{ETL}/runs/r/outcome.json")
    ran.write(f"{ETL}/runs/r/outcome.json", kept[:100])
    ran.write(f"{ETL}/runs/stray/notes.txt", b"no run")
    listed = told(look({}, "ls", f"{ran.url}/{ETL}", "--json"))["runs"]
    ran.write(f"{ETL}/runs/r/outcome.json", kept)
    states = {run["run"]: (run["state"], run["url"]) for run in listed}
    assert states == {
        "r": ("unreadable", run_url(ran)),
        "s": ("succeeded", run_url(ran, "s")),
        "stray": ("unreadable", run_url(ran, "stray")),
    }


def test_ls_of_nothing_says_so(here: Place) -> None:
    refused(look({}, "ls", f"{here.url}/none"), 66, "there is no folder", "/none")
    here.write("empty/.tmp-left-over", b"")
    refused(look({}, "ls", f"{here.url}/empty"), 66, "there is nothing at", "/empty")
    refused(look({}, "ls", "ftp://x"), 2, "unknown scheme 'ftp'")


def test_ls_stops_quietly_when_its_reader_does(ran: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "runner", "ls", f"{ran.url}/{ETL}"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.stderr == b""


# runner show


def test_show_prints_state_and_tasks(ran: Place) -> None:
    text = start({}, "show", run_url(ran)).stdout
    assert "state    succeeded\nflow     E.T.L. täglich\n" in text
    assert "clean    succeeded (3 of 3)  3 " in text
    assert f"{run_url(ran)}/attempts/0001/results/clean/\n" in text
    assert f"{run_url(ran)}/attempts/0001/results/load-it.pkl\n" in text
    schemas.validate("outcome", told(start({}, "show", run_url(ran), "--json")))


def test_show_takes_a_runs_id_where_the_environment_names_the_flow(ran: Place, tmp_path: Path) -> None:
    assert told(look(located(ran, ETL), "show", "r", "--json"))["run_id"] == "r"
    kept = ran.keys()
    [version] = [key for key in kept if key.count("/") == 1]
    assert told(look(located(ran, version), "show", "r", "--json"))["run_id"] == "r"
    elsewhere = located(ran, ETL) | {"RUNNER_RESULTS": str(tmp_path / "elsewhere"), "RUNNER_RUN_ID": "s"}
    assert start(elsewhere).code == 0
    assert told(look(elsewhere, "show", "s", "--json"))["run_id"] == "s"
    refused(look({}, "show", "r"), 2, "'r' is a run id", "RUNNER_LOCATION")
    refused(look(located(ran, ETL), "show", "none"), 66, "there is no run none", "runner ls")
    refused(look({}, "show", f"{ran.url}/{ETL}"), 2, "not the folder of a run")


def test_show_prints_the_error_and_the_users_traceback(here: Place) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "fail", "file": "why"}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "trouble") | given).code == 1
    text = look({}, "show", run_url(here, home="trouble")).stdout
    assert "exit     1\n" in text
    assert "error    task misbehave failed: ValueError: why\n" in text
    assert "\nmisbehave:\nTraceback (most recent call last):\n" in text
    assert "trouble.py" in text


def test_show_of_a_run_that_is_not_over_says_who_holds_it(here: Place) -> None:
    publish(here, "trouble.py")
    killed = {"RUNNER_PARAMETERS": '{"kind": "be killed"}', "RUNNER_RUN_ID": "r"}
    assert start(located(here, "trouble") | killed).code == 137
    assert "state    crashed\n" in look({}, "show", run_url(here, home="trouble")).stdout
    claim = json.loads(here.read("trouble/runs/r/attempts/0001/claim.json"))
    second = claim | {"attempt": 2, "host": "elsewhere", "token": naming.new_token()}
    here.write("trouble/runs/r/attempts/0002/claim.json", documents.encode(second))
    text = look({}, "show", run_url(here, home="trouble")).stdout
    assert "state    running (beat 0 s ago)\nattempt  2, since" in text
    assert "on elsewhere" in text
    document = told(look({}, "show", run_url(here, home="trouble"), "--json"))
    assert (document["state"], document["claim"]["attempt"]) == ("running", 2)


def test_show_of_a_document_that_cannot_be_read_says_so(ran: Place) -> None:
    kept = ran.read(f"{ETL}/runs/r/outcome.json")
    ran.write(f"{ETL}/runs/r/outcome.json", b'{"format": 9}')
    refused(look({}, "show", run_url(ran)), 65, "outcome.json cannot be read")
    ran.write(f"{ETL}/runs/r/outcome.json", kept)


# runner result


def test_result_shows_what_a_task_gave(ran: Place) -> None:
    assert look({}, "result", run_url(ran), "load-it").stdout == "6\n"
    assert look({}, "result", run_url(ran), "clean").stdout == "[0, 2, 4]\n"
    assert look({}, "result", run_url(ran), "clean[2]").stdout == "4\n"
    assert look({}, "result", run_url(ran)).stdout == "None\n"  # the last one, nothing
    assert told(look({}, "result", run_url(ran), "clean", "--json")) == [0, 2, 4]
    assert told(look(located(ran, ETL), "result", "r", "extract", "--json"))[0]["row"] == 0
    refused(look({}, "result", run_url(ran), "unkept"), 66, "'unkept'", "extract, clean, load-it, large, nothing")
    refused(look({}, "result", run_url(ran), "clean[3]"), 66, "clean[3]")


def test_result_of_a_mapped_task_is_whole_or_names_what_is_missing(here: Place, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("""
from runner import Flow, task
@task
def odd(number):
    return {1: 1, 3: 3}[number]
@task
def after(number): ...
with Flow("some") as flow:
    after.map(odd.map([0, 1, 2, 3, 4, 5, 6, 7, 8]))
    task(odd, name="none").map([2])
    task(odd, name="empty").map([])
""")
    assert start({}, "build", str(tmp_path / "some.py"), "--storage", here.url).code == 0
    assert start(located(here, "some") | {"RUNNER_RUN_ID": "r"}).code == 1
    url = run_url(here, home="some")
    message = "7 of 9 elements have no result: odd[0], odd[2], odd[4], odd[5], odd[6] and 2 more (failed)."
    for options in ([], ["-o", str(tmp_path / "x")]):
        refused(look({}, "result", url, "odd", *options), 66, message, "Ask for one element, like odd[1]")
    refused(look({}, "result", url, "after"), 66, "after[0], after[2]", "(skipped)")
    assert look({}, "result", url, "odd[3]").stdout == "3\n"
    refused(look({}, "result", url, "odd[4]"), 66, "no result of 'odd[4]', which failed", "Tasks with results: odd, ")
    refused(look({}, "result", url, "none"), 66, "no result of 'none', which failed")
    assert look({}, "result", url, "empty").stdout == "[]\n"


def test_result_copies_without_unpickling(ran: Place, tmp_path: Path) -> None:
    done = look({}, "result", run_url(ran), "large", "-o", "copy.pkl", cwd=tmp_path)
    assert done.stdout == "copy.pkl: 3.0 MB, verified\n"
    key = f"{ETL}/runs/r/attempts/0001/results/large.pkl"
    assert (tmp_path / "copy.pkl").read_bytes() == ran.read(key)
    document = told(look({}, "result", run_url(ran), "clean[0]", "-o", str(tmp_path / "one.pkl"), "--json"))
    assert (document["task"], document["type"]) == ("clean[0]", "int")
    refused(look({}, "result", run_url(ran), "clean", "-o", str(tmp_path / "x")), 2, "mapped", "clean[0]")
    refused(look({}, "result", run_url(ran), "large", "-o", "/none/x"), 2, "/none/x cannot be written")
    to_stdout = start({}, "result", run_url(ran), "nothing", "-o", "-", encoding="latin-1")
    assert pickle.loads(to_stdout.stdout.encode("latin-1")) is None


def test_a_result_that_needs_what_is_not_here_is_copied_all_the_same(ran: Place, tmp_path: Path) -> None:
    """A result that cannot be unpickled here is refused as such, and its bytes can still be had."""
    import hashlib

    data = b"\x80\x05\x8c\x0dnot_installed\x8c\x01f\x93."
    digest = hashlib.sha256(data)
    trailer = b"RNR1" + len(data).to_bytes(8, "big") + digest.digest()
    ran.write(f"{ETL}/runs/r/attempts/0001/results/nothing.pkl", data + trailer)
    for name in ("outcome.json", "attempts/0001/end.json"):
        document = json.loads(ran.read(f"{ETL}/runs/r/{name}"))
        document["tasks"][-1]["result"] |= {"size": len(data), "sha256": digest.hexdigest()}
        ran.write(f"{ETL}/runs/r/{name}", documents.encode(document))
    refused(look({}, "result", run_url(ran), "nothing"), 76, "not_installed", "runner result -o FILE")
    assert look({}, "result", run_url(ran), "nothing", "-o", str(tmp_path / "copy")).code == 0
    assert (tmp_path / "copy").read_bytes() == data + trailer


@pytest.mark.parametrize("position", [5, -44, -40, -1])
def test_a_tampered_result_is_refused_before_it_is_unpickled(ran: Place, tmp_path: Path, position: int) -> None:
    key = f"{ETL}/runs/r/attempts/0001/results/load-it.pkl"
    whole = ran.read(key)
    damaged = bytearray(whole)
    damaged[position] ^= 0x01
    ran.write(key, bytes(damaged))
    refused(look({}, "result", run_url(ran), "load-it"), 65, "load-it.pkl", "not the one that the outcome lists")
    refused(look({}, "result", run_url(ran), "load-it", "-o", str(tmp_path / "copy")), 65, "load-it.pkl")
    assert not (tmp_path / "copy").exists()
    assert not list(tmp_path.glob(".copy*"))


def test_a_result_that_json_cannot_hold_says_so(ran: Place) -> None:
    done = look({}, "result", run_url(ran), "large", "--json")
    assert done.code == 2
    assert "-o FILE" in json.loads(done.stdout)["message"]


# What no command expects


@pytest.mark.parametrize(("error", "code", "said"), [(RuntimeError("odd"), 70, "odd"), (KeyboardInterrupt(), 130, "")])
def test_whatever_happens_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    monkeypatch.setattr(cli.cli.commands["version"], "callback", mock.Mock(side_effect=error))
    done = look({}, "version")
    assert done.code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_location_that_cannot_be_looked_at_is_a_wrong_command_line() -> None:
    refused(look({}, "inspect", "~no-such-user/flow"), 2, "home")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (4100, "4.1 kB"), (2_500_000, "2.5 MB"), (1_300_000_000, "1.3 GB")]
)
def test_sizes_are_told_as_people_read_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_build_keeps_the_files_secrets_and_opens_with_those_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "from runner import Flow\nfrom runner.storage import S3\n"
        "flow = Flow('f', storage=S3('other', secrets=['TOKEN'], labels=['gpu']))\n"
    )
    with S3AsAws() as s3:
        environ = s3.server.environ
        keys = {
            "ACCESS_KEY": environ.pop("AWS_ACCESS_KEY_ID"),
            "SECRET_ACCESS_KEY": environ.pop("AWS_SECRET_ACCESS_KEY"),
        }
        environ |= {"RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": json.dumps(keys)}
        done = start(environ, "build", str(tmp_path / "flow.py"), "--storage", f"s3://{s3.bucket}", "--json")
    manifest = told(done)["manifest"]
    assert manifest["secrets"] == ["TOKEN"]
    assert manifest["labels"] == ["gpu", "s3-flow-storage"]


def test_ls_lists_bundles_with_keys_of_their_own(here: Place) -> None:
    publish(here, "trouble.py", key="team/release-1")
    listed = told(look({}, "ls", f"{here.url}/team", "--json"))
    assert [version["location"] for version in listed["versions"]] == [f"{here.url}/team/release-1"]
    assert told(look({}, "ls", here.url, "--json"))["flows"] == [{"flow": "team", "versions": 1, "newest": None}]


def test_a_result_is_not_copied_onto_a_folder(ran: Place, tmp_path: Path) -> None:
    refused(look({}, "result", run_url(ran), "-o", str(tmp_path)), 2, "is a folder")


def test_check_loads_a_flow_and_runs_nothing(here: Place) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "do well"}'}
    done = start(located(here, "trouble") | given, "check")
    assert done.code == 0, done
    assert done.stdout.startswith("flow 'trouble' can be run here: file:///")
    assert told(start(given, "check", f"{here.url}/trouble", "--json"))["tasks"] == 2
    refused(start({}, "check", f"{here.url}/trouble"), 78, "parameter 'kind' is required")
    assert not any("/runs/" in key for key in here.keys())  # noqa: SIM118 - a place is no mapping


def test_check_leaves_none_of_the_flows_modules_behind(here: Place, tmp_path: Path) -> None:
    publish(here, "modular/modular.py")
    (tmp_path / "tmp").mkdir()
    assert start({"TMPDIR": str(tmp_path / "tmp")}, "check", f"{here.url}/modular").code == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_check_tells_what_a_run_would(here: Place) -> None:
    here.write("fn/1", cloudpickle.dumps(3))
    refused(start({}, "check", f"{here.url}/fn/1"), 65, "the object holds no flow")
    refused(start({}, "check", f"{here.url}/none"), 66, "neither an object nor a flow")
    refused(start({}, "check"), 2, "nothing says which flow to check")


def test_only_in_an_image_a_program_can_be_given() -> None:
    in_image = {"RUNNER_IMAGE": "org/runner:aws-py3.11"}
    assert start(in_image, "echo", "hello").stdout == "hello\n"
    assert start({}, "echo", "hello").code == 2
    assert told(start(in_image | {"RUNNER_REVISION": "0123abc"}, "version", "--json")) == {
        "runner": __version__,
        "python": sys.version.split()[0],
        "image": "org/runner:aws-py3.11",
        "revision": "0123abc",
    }
