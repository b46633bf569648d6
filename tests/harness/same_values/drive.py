"""Flows, run at home and in a container's way: for each that standard input asks for, what came of it each time.

A flow's file lies in a folder of its own, which is moved away while the container's processes run. What runs at home or
builds does so in a fork of this process, which has imported runner and nothing of the author's: a fresh one, but for
the time that it takes.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict
from unittest import mock

import runner.cli.build  # here once, for what is forked
import runner.engine.report
from harness.same_values.describe import describe
from harness.same_values.designs import DESIGNS
from runner import Flow, FlowFailed, cli
from runner.errors import RunnerError
from runner.storage import Local

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engine.report import Report
    from runner.schema.documents import TaskRecord


class Request(TypedDict):
    """A flow's file, the folder of its modules, an empty one, what ``runner build`` is given, and with what it runs.

    ``script`` are the arguments of a file that is run by Python instead, and builds its flow itself.
    """

    file: str
    root: str
    work: str
    arguments: list[str]
    script: list[str] | None
    executors: list[str]
    design: str


def main() -> None:
    """Answer one line with another; authors print elsewhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        json.dump(in_fork(partial(drive, json.loads(line))), answers)
        print(file=answers, flush=True)


def drive(request: Request) -> dict[str, Any]:
    """Return what was built, and what came of the flow with each executor here and there."""
    file, root, work = (Path(request[name]) for name in ("file", "root", "work"))
    executors = request["executors"]
    os.environ["HOME"] = str(work)
    os.chdir(work)
    script = request["script"]
    load = partial(_import_file, file, root) if script is None else partial(_run_script, file, script)
    here = {executor: in_fork(partial(run_at_home, load, work, executor)) for executor in executors}
    arguments = [*request["arguments"], "--storage", (work / "store").as_uri()]
    publish = partial(build, file, arguments) if script is None else partial(build_script, load, work)
    built = in_fork(partial(publish, request["design"]))
    there: dict[str, Any] = {}
    if built.get("code") == 0:
        root.rename(work / ".hidden")
        ended = {executor: run_there(built["stdout"].splitlines()[-1], work, executor) for executor in executors}
        (work / ".hidden").rename(root)
        there = {executor: in_fork(partial(told_of, each, root, work)) for executor, each in ended.items()}
    return {"build": built, "here": here, "there": there}


def in_fork(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a function gives in a process of its own, or how it failed."""
    receiver, sender = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.close(receiver)
            try:
                given = act()
            except BaseException:  # noqa: BLE001 - told to whoever compares
                given = {"failed": traceback.format_exc()}
            with os.fdopen(sender, "w", encoding="utf-8") as stream:
                json.dump(given, stream)
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, encoding="utf-8") as stream:
        text = stream.read()
    os.waitpid(child, 0)
    told: dict[str, Any] = json.loads(text or '{"failed": "its process ended"}')
    return told


def run_at_home(load: Callable[[], ModuleType], work: Path, executor: str) -> dict[str, Any]:
    """Load the file as Python does, call ``flow.run()`` and describe what it gave."""
    os.environ["RUNNER_EXECUTOR"] = executor
    flow = _flow_in(load())
    folder = _folder(work, f"here-{executor}")
    given = {"folder": str(folder)} if any(each.name == "folder" for each in flow.parameters) else {}
    reports: list[Report] = []

    def keep(report: Report) -> str:
        reports.append(report)
        return "failed"

    with mock.patch.object(runner.engine.report, "failure", keep):
        try:
            reports.append(flow.run(**given))
        except FlowFailed:
            if not reports:
                raise
    [report] = reports
    return {
        "state": report.state,
        "tasks": [_record(record, folder) for record in report.tasks],
        "results": {
            _slug(record): _placed(describe(_value(report, record)), folder)
            for record in report.tasks
            if record["state"] == "succeeded"
        },
        "files": _files(folder),
    }


def _slug(record: TaskRecord) -> str:
    return record["task"] if record["index"] is None else f"{record['task']}[{record['index']}]"


def _value(report: Report, record: TaskRecord) -> Any:
    value = report.values[record["task"]]
    return value if record["index"] is None else value[record["index"]]


def _import_file(file: Path, root: Path) -> ModuleType:
    sys.path.insert(0, str(root))
    return importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"))


def _run_script(file: Path, arguments: list[str]) -> ModuleType:
    """Run a file as ``python FILE`` does."""
    sys.path.insert(0, str(file.parent))
    sys.argv = [str(file), *arguments]
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__file__ = str(file)
    exec(compile(file.read_text("utf-8"), file, "exec"), vars(main))
    return main


def _flow_in(module: ModuleType) -> Flow:
    held = [*vars(module).values()]
    held += [part for each in held if isinstance(each, dict) for part in each.values()]
    held += [part for each in held if isinstance(each, type) for part in vars(each).values()]
    [flow] = {id(value): value for value in held if isinstance(value, Flow)}.values()
    return flow


def build(file: Path, arguments: list[str], design: str) -> dict[str, Any]:
    """Call ``runner build``, and have that travel of the flow's file what a design says."""
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    argv = ["runner", "build", str(file), *arguments]
    with DESIGNS[design](), mock.patch.object(sys, "argv", argv), redirect_stdout(stdout), redirect_stderr(stderr):
        code = cli.main()
    stdout.flush()
    return {"code": code, "stdout": stdout.buffer.getvalue().decode(), "stderr": stderr.getvalue()}


def build_script(load: Callable[[], ModuleType], work: Path, design: str) -> dict[str, Any]:
    """Run a file as a script, and build its flow as that would."""
    stderr = io.StringIO()
    with DESIGNS[design](), redirect_stderr(stderr):
        flow = _flow_in(load())
        flow.storage = Local(str(work / "store"))
        try:
            return {"code": 0, "stdout": flow.storage.build(), "stderr": stderr.getvalue()}
        except RunnerError as error:
            return {"code": error.code, "stdout": "", "stderr": f"{stderr.getvalue()}{error}"}


def run_there(url: str, work: Path, executor: str) -> dict[str, Any]:
    """Run the bundle as a container does, in an empty folder; return its exit code and what it wrote."""
    away, folder = _folder(work, "away"), _folder(work, f"there-{executor}")
    given = {"RUNNER_LOCATION": url, "RUNNER_RUN_ID": executor, "RUNNER_EXECUTOR": executor, "TMPDIR": str(away)}
    command = [sys.executable, "-m", "runner"]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | given
    if "folder" in _parameters(url):
        environ["RUNNER_PARAMETERS"] = json.dumps({"folder": str(folder)})
    try:
        ran = subprocess.run(command, env=environ, cwd=away, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as error:
        return {"code": None, "log": str(error), "executor": executor}
    return {"code": ran.returncode, "log": ran.stdout + ran.stderr, "executor": executor}


def _parameters(url: str) -> list[str]:
    from runner.bundle.archive import read_bundle

    facts = read_bundle(Path(url.removeprefix("file://")).read_bytes()).manifest
    return [each["name"] for each in facts["parameters"]]


def told_of(ended: dict[str, Any], root: Path, work: Path) -> dict[str, Any]:
    """Describe what the container left in the storage; results of classes known by name need the author's modules."""
    sys.path.insert(0, str(root))
    folder = work / f"there-{ended['executor']}"
    outcomes = list((work / "store").glob(f"*/runs/{ended['executor']}/outcome.json"))
    outcome = json.loads(outcomes[0].read_text("utf-8")) if outcomes else {}
    if not outcome.get("tasks"):
        return ended
    results = {
        _slug(record): pickle.loads((work / "store" / record["result"]["key"]).read_bytes())
        for record in outcome["tasks"]
        if record["result"]
    }
    return {
        "state": outcome["state"],
        "tasks": [_record(record, folder) for record in outcome["tasks"]],
        "results": {slug: _placed(describe(value), folder) for slug, value in results.items()},
        "files": _files(folder),
    }


def _record(record: TaskRecord, folder: Path) -> dict[str, Any]:
    error = record["error"]
    return {
        "task": record["task"],
        "index": record["index"],
        "state": record["state"],
        "tries": record["tries"],
        "error": error and [error["type"], _placed(error["message"], folder), _frames(error["traceback"] or "")],
    }


def _frames(text: str) -> list[str]:
    """Return a traceback without the lines of the source, which need its file, and without folders."""
    lines = [line for line in text.splitlines() if not re.sub(r"^ *\| ", "", line).startswith("    ")]
    return [re.sub(r'File "[^"]*/', 'File "', line) for line in lines]


def _placed(described: Any, folder: Path) -> Any:
    """Take out the folder that a run was given, which is another one each time."""
    return json.loads(json.dumps(described).replace(str(folder), "FOLDER"))


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir(exist_ok=True)
    return folder


def _files(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode("latin-1") for path in found}


if __name__ == "__main__":
    main()
