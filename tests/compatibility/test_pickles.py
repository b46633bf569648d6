"""What the pickles of 0.1.0 name of runner's own is found wherever it is now: in bundles, plain pickles and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import runner
from runner import environments, errors, storage

if TYPE_CHECKING:
    from pathlib import Path


from support.written_before import FITS, Etl, assert_refused, loaded


@pytest.mark.parametrize(
    ("name", "task", "gave"),
    [
        ("nightly", "nightly", "ran for 2026-11-26"),
        ("like-prefect", "like-prefect", {"ask-1": "asked for 2026-11-26, scheduled: False"}),
    ],
)
def test_a_bundle_of_what_is_no_flow_runs(unsigned: Etl, name: str, task: str, gave: Any) -> None:
    ran = unsigned.call("run", str(unsigned.home.parent / name), "-p", "day=2026-11-26", RUNNER_RUN_ID="new")
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 0, ran
    assert unsigned.json("result", str(unsigned.home.parent / name / "runs" / "new"), task) == gave


def test_a_bundle_that_names_modules_which_its_author_never_heard_of_runs(unsigned: Etl) -> None:
    home = unsigned.home.parent / "attributes"
    named = unsigned.json("inspect", str(home), "--imports")["pickle"]["globals"]
    assert {"runner.payload", "runner.records", "runner.capture", "runner.storage.declared"} < {*named}
    ran = unsigned.call("run", str(home), RUNNER_RUN_ID="new")
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 0, ran
    assert unsigned.json("result", str(home / "runs" / "new"), "count") == 32


RAW = {  # name: parameter, last task, what it gave
    "by-name": ("factor=5", "sum", 30),
    "flow": ("more=5", "total", {"sum": 17, "flow": "written"}),
    "function": ("day=2026-11-26", "function", "called for 2026-11-26"),
    "envelope": ("more=5", "total", {"sum": 17, "flow": "written"}),
}
# the plain pickles of functions do not say which Python made them: on another one, what they do is anybody's guess
TOLD_APART = RAW if FITS else {name: RAW[name] for name in ("by-name", "envelope")}


@pytest.mark.parametrize("name", TOLD_APART)
def test_a_plain_pickle_runs(unsigned: Etl, data: Path, name: str) -> None:
    parameter, task, gave = RAW[name]
    ran = unsigned.call("run", str(data / "raw" / name), "-p", parameter, RUNNER_RUN_ID="new")
    if not FITS and name == "envelope":
        assert_refused(ran)
        return
    assert ran.code == 0, ran
    assert "this object is a plain pickle, not a bundle" in ran.stdout
    assert unsigned.json("result", str(data / "raw" / "runs" / "new"), task) == gave


@pytest.mark.parametrize("name", RAW)
def test_a_plain_pickle_is_inspected(unsigned: Etl, data: Path, name: str) -> None:
    reported = unsigned.json("inspect", str(data / "raw" / name), "--imports")
    assert reported["manifest"] is None
    flow = {"runner.flow.Flow", "runner.task.Node", "runner.task.Parameter", "runner.task.Task"}
    assert flow & {*reported["pickle"]["globals"]} == (set() if name == "function" else flow)
    functions = {code["name"] for code in reported["pickle"]["code"]}
    assert functions == {"by-name": set(), "function": {"function"}}.get(name, {"double", "total"})
    assert reported["versions"].get("python") == ("3.11.7" if name == "envelope" else None)


@pytest.fixture
def values(unsigned: Etl) -> Path:
    """The results of a run, each of which holds objects of runner's own classes."""
    return unsigned.home.parent / "values" / "runs" / "made" / "attempts" / "0001" / "results"


def test_results_hold_parameters_and_tasks(values: Path) -> None:
    parameter = loaded(values / "parameter.pkl")
    assert type(parameter) is runner.Parameter
    assert (parameter.name, parameter.default, parameter.required) == ("day", "2026-01-01", False)
    plus = loaded(values / "rules.pkl")
    assert type(plus) is runner.Task
    assert (plus.name, plus.retries, plus.retry_delay, plus.timeout) == ("plus", 2, 3.0, 4.0)
    assert (plus.checkpoint, plus.trigger, plus(40, 2)) == (True, "all_finished", 42)
    marked = loaded(values / "marked.pkl")
    assert type(marked) is runner.unmapped
    assert marked.value == [1, 2]


def test_results_hold_flows_and_reports(values: Path) -> None:
    flow = loaded(values / "inner.pkl")
    assert type(flow) is runner.Flow
    assert (flow.name, [parameter.name for parameter in flow.parameters]) == ("small", ["left"])
    assert flow.run(left=40).result("plus") == 42
    report = loaded(values / "report.pkl")
    assert type(report) is type(flow.run())
    assert (report.state, report.result("plus"), report.failed) == ("succeeded", 42, [])


def test_results_hold_errors(values: Path) -> None:
    failed = loaded(values / "failure.pkl")
    assert type(failed) is runner.FlowFailed
    assert str(failed) == "task divide failed: ZeroDivisionError: division by zero"
    held = loaded(values / "errors.pkl")
    assert len(held) == 18
    for error in held:
        name = type(error).__name__
        assert type(error) is getattr(errors, name)
        assert (error.message, error.hint) == (f"this is {name}", "Do something.")


def test_results_hold_storages_and_environments(values: Path) -> None:
    held = loaded(values / "storages.pkl")
    kinds: dict[str, object] = {
        "local": storage.Local,
        "s3": storage.S3,
        "gcs": storage.GCS,
        "azure": storage.Azure,
        "docker": storage.Docker,
    }
    kinds |= {"location": storage.Location, "environment": environments.LocalEnvironment}
    assert {name: type(each) for name, each in held.items()} == kinds
    urls = {name: held[name].url for name in ("local", "s3", "gcs", "azure", "location")}
    assert urls == {
        "local": "file:///mnt/flows",
        "s3": "s3://flows/team",
        "gcs": "gs://flows/team",
        "azure": "azure://flows/team",
        "location": "s3://flows/team/etl",
    }
    assert (held["s3"].secrets, held["s3"].labels) == (("AWS_CREDENTIALS",), ("s3-flow-storage", "x"))
    assert held["docker"].registry_url == "registry.example.com/team"
    assert (held["environment"].image, held["environment"].labels) == ("org/runner:aws", ("big",))


def test_results_with_objects_of_runners_are_shown(unsigned: Etl) -> None:
    made = str(unsigned.home.parent / "values" / "runs" / "made")
    shown = {name: unsigned.call("result", made, name).stdout for name in ("parameter", "rules", "inner", "failure")}
    assert shown == {
        "parameter": "<Parameter day>\n",
        "rules": "<Task plus>\n",
        "inner": "<Flow small>\n",
        "failure": "FlowFailed('task divide failed: ZeroDivisionError: division by zero')\n",
    }
    for name in ("marked", "report", "errors", "storages"):
        assert unsigned.call("result", made, name).code == 0, name
    ended = str(unsigned.home.parent / "endings" / "runs" / "made")
    assert unsigned.call("result", ended, "given").stdout == "TimeoutError('took longer than 0.1 s')\n"
    reported = "the result of task unpicklable cannot be pickled: result: lock: cannot pickle '_thread.lock' object"
    assert unsigned.call("result", ended, "given-2").stdout == f'TaskError("{reported}")\n'
