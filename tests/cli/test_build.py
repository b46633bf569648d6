"""``runner build``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.command_line import assert_refused, printed_json
from support.flows import HERE
from support.servers.s3_as_aws import S3AsAws
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path


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
    document = printed_json(start({}, "build", str(tmp_path / "project" / "modular.py"), "--storage", url, *more))
    assert sorted(document["files"]) == ["modular.py", "shipped/__init__.py", "shipped/late.py"]
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
    assert_refused(start({}, "build", str(file)), 2, "several flows", "jobs.py:NAME", "first flow, second")
    assert_refused(start({}, "build", f"{file}:c"), 2, "'c'", "first flow, second")
    assert_refused(start({}, "build", f"{file}:a", "--storage", "ftp://x"), 2, "unknown scheme 'ftp'")


def test_build_takes_no_flow_of_two_that_have_one_name(tmp_path: Path) -> None:
    file = tmp_path / "twins.py"
    file.write_text(
        "from runner import Flow\na, b = Flow('same'), Flow('same')\nown, other = Flow('own'), Flow('own')\n"
    )
    assert_refused(
        start({}, "build", f"{file}:same"), 2, "twins.py has 2 flows of the name 'same'", "twins.py:VARIABLE"
    )
    for variable in ("b", "own"):  # a flow's own variable, and one of the name of two flows
        assert start({}, "build", f"{file}:{variable}", "--storage", str(tmp_path / variable)).code == 0


def test_build_names_the_flows_of_prefects_among_which_it_cannot_choose(tmp_path: Path) -> None:
    """One that was imported is a part of another; the only one is found by tests with Prefect itself."""
    file = tmp_path / "jobs.py"
    file.write_text(
        "class Flow:\n    def __init__(self, name, module=__name__):\n"
        "        self.name, self.__module__ = name, module\n"
        "Flow.__module__ = 'prefect.flows'\na, b, c = Flow('first'), Flow('second'), Flow('part', 'elsewhere')\n"
    )
    done = start({}, "build", str(file))
    assert_refused(done, 2, "several flows", "Flows in it: first, second.")
    assert_refused(start({}, "build", f"{file}:third"), 2, "first, second, part")


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
        assert done.stderr.splitlines().count("etl") == 1, done  # and not once more under another name


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("from runner import Flow\n", 2, "no flow"),
        ("syntax error\n", 1, "SyntaxError"),
        ("import not_installed_here\n", 1, "not_installed_here"),
        ("import sys\nsys.exit(0)\n", 1, "SystemExit"),
        ("from runner import Flow, task\nflow = Flow('')\n", 2, "neither a letter nor a digit"),
    ],
)
def test_build_says_what_is_wrong_with_a_file(tmp_path: Path, text: str, code: int, words: str) -> None:
    (tmp_path / "flow.py").write_text(text)
    assert_refused(start({}, "build", str(tmp_path / "flow.py")), code, words)


def test_build_publishes_once_what_a_file_builds_and_runs_itself(tmp_path: Path) -> None:
    file, store = tmp_path / "flow.py", tmp_path / "store"
    file.write_text("from runner import Flow\nflow = Flow('a')\nflow.storage.build()\nflow.run()\n")
    done = start({}, "build", str(file), "--storage", store.as_uri())
    assert done.stdout.startswith(f"{store.as_uri()}/a/"), done
    assert len([path for path in store.rglob("*") if path.is_file()]) == 1
    assert start({"RUNNER_LOCATION": done.stdout.strip()}).code == 0


AS_ON_WINDOWS = """
import os, signal, sys
missing = "SIGHUP SIGCHLD SIGKILL pthread_sigmask sigtimedwait"
for module, names in [(os, "fork geteuid getuid killpg"), (signal, missing)]:
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
    assert_refused(start({}, "build", "none.py:flow"), 2, "there is no file none.py")


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
    manifest = printed_json(done)["manifest"]
    assert manifest["secrets"] == ["TOKEN"]
    assert manifest["labels"] == ["gpu", "s3-flow-storage"]


def test_standard_output_has_the_url_alone_whatever_the_file_prints(tmp_path: Path) -> None:
    text = "import os\nfrom runner import Flow\nprint('noise')\nos.system('echo noise')\nflow = Flow('etl')\n"
    (tmp_path / "etl.py").write_text(text)
    done = start({}, "build", "etl.py", "--storage", (tmp_path / "store").as_uri(), cwd=tmp_path)
    assert done.stdout.splitlines() == [done.stdout.strip()]
    assert done.stdout.startswith("file://")
    assert done.stderr.count("noise") >= 2
