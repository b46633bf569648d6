"""What 0.1.0 wrote is run, gone on with, repeated, shown and read: its bundles, runs and results lie in buckets.

`tests/data/make.py` says what there is, and how it was made. Only what a user has is used here: the command, the
variables and the public imports. A bundle is bound to its version of Python; with another one it must be refused,
clearly, and all that does not run its code must go on to work.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


from support import schemas
from support.starting import start
from support.written_before import (
    DATA,
    FINISHED,
    FITS,
    KEPT,
    NAMES,
    PLACES,
    ROWS,
    STATES,
    STOPPED,
    SUM,
    VALUES,
    Etl,
    assert_refused,
    written,
)


def test_the_documents_are_as_their_schemas_say() -> None:
    from jsonschema import Draft202012Validator

    kinds = {"run.json": "run", "claim.json": "claim", "beat": "beat", "end.json": "end", "outcome.json": "outcome"}
    seen = []
    for path in sorted(DATA.rglob("*")):
        if path.name in kinds and path.is_file():
            schema = json.loads((schemas.FOLDER / f"{kinds[path.name]}.schema.json").read_text("utf-8"))
            Draft202012Validator(schema).validate(json.loads(path.read_bytes()))
            seen.append(path.name)
    assert {name: seen.count(name) for name in kinds} == {
        "run.json": 10,
        "claim.json": 10,
        "beat": 4,
        "end.json": 8,
        "outcome.json": 6,
    }


def test_a_bundle_runs(etl: Etl) -> None:
    ran = etl.run("new", {"currency": "SEK"})
    if not FITS:
        assert_refused(ran)
        assert etl.ran == []
        return
    assert ran.code == 0, ran
    assert etl.ran == sorted([*KEPT, "price[0]", "gate", "sum-up", "clean-up"])  # its second try
    assert etl.value("new", "extract") == [{"row": row, "by": "now"} for row in range(3)]
    assert etl.value("new", "price") == [9, 18, 27]  # by a module and a data file that travelled along
    assert etl.value("new", "stock") == 30
    assert etl.value("new", "names") == NAMES
    assert etl.value("new", "places") == PLACES
    assert etl.value("new", "sum-up") == {**SUM, "sum": 54}
    tasks = etl.tasks("new")
    assert (tasks["price[0]"]["tries"], tasks["price[1]"]["tries"]) == (2, 1)
    assert {name: tasks[name]["state"] for name in STATES["succeeded"]} == STATES["succeeded"]


def test_a_bundle_fails_as_it_did(etl: Etl) -> None:
    ran = etl.run("new", {"broken": "no money"})
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 1, ran
    assert "task sum-up failed: ValueError: cannot sum up: no money" in ran.stdout
    assert etl.value("new", "alert") == "ValueError: cannot sum up: no money"
    tasks = etl.tasks("new")
    assert {name: tasks[name]["state"] for name in STATES["failed"]} == STATES["failed"]


def test_a_bundle_is_checked(etl: Etl) -> None:
    right = etl.call("check", str(etl.home), RUNNER_PARAMETERS='{"count": 3}')
    if not FITS:
        assert_refused(right)
        return
    assert right.code == 0, right
    wrong = etl.call("check", str(etl.home))
    assert wrong.code == 78, wrong
    assert "parameter 'count' is required and not given" in wrong.stderr


@pytest.mark.parametrize("run_id", FINISHED)
def test_a_start_of_a_finished_run_repeats_its_outcome(etl: Etl, run_id: str) -> None:
    before = written(etl.home)
    ran = etl.run(run_id, {"broken": "the books are shut"} if run_id == "failed" else {})
    assert ran.code == FINISHED[run_id], ran
    assert f"{run_id}; nothing is run again" in ran.stdout
    assert etl.ran == []
    assert written(etl.home) == before


@pytest.mark.parametrize("run_id", FINISHED)
def test_other_parameters_than_a_run_was_begun_with_are_refused(etl: Etl, run_id: str) -> None:
    ran = etl.run(run_id, {"count": 4})
    assert ran.code == (79 if etl.trust else 78), ran
    assert f"run '{run_id}' was begun with other parameters" in ran.stdout


@pytest.mark.parametrize("run_id", STOPPED)
def test_a_run_that_did_not_end_is_gone_on_with(etl: Etl, run_id: str) -> None:
    attempts = etl.home / "runs" / run_id / "attempts"
    before = written(attempts / "0001")
    ran = etl.run(run_id, RUNNER_HEARTBEAT="1")
    after = written(attempts / "0001")
    ended = {name for name in after if name not in before}
    assert ended == ({"end.json"} if run_id == "cut-off" else set())
    assert {name: after[name] for name in before} == before
    end = json.loads((attempts / "0001" / "end.json").read_bytes())
    assert end["state"] == ("lost" if run_id == "cut-off" else "cancelled")
    if not FITS:
        assert_refused(ran)
        assert etl.json("show", etl.run_folder(run_id))["state"] == "refused"
        return
    assert ran.code == 0, ran
    assert "7 results of earlier attempts are there and need not be made again" in ran.stdout
    assert etl.ran == ["clean-up", "gate", "sum-up"]
    reported = etl.json("show", etl.run_folder(run_id))
    assert (reported["state"], reported["attempt"]) == ("succeeded", 2)
    tasks = etl.tasks(run_id)
    assert {name for name, task in tasks.items() if task["result"] and "/0001/" in task["result"]["key"]} == KEPT
    assert etl.value(run_id, "extract") == ROWS  # by whom it was made then
    assert etl.value(run_id, "sum-up") == SUM


@pytest.mark.parametrize("run_id", STOPPED)
def test_a_run_that_did_not_end_is_resumed_by_its_url(unsigned: Etl, run_id: str) -> None:
    ran = unsigned.call("run", "--resume", unsigned.run_folder(run_id), **unsigned.traced)
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 0, ran
    assert unsigned.ran == ["clean-up", "gate", "sum-up"]
    assert unsigned.value(run_id, "extract") == ROWS
    assert unsigned.value(run_id, "sum-up") == SUM


@pytest.mark.parametrize("run_id", [*FINISHED, "cancelled"])
def test_a_run_is_retried_from_a_task_on(etl: Etl, run_id: str) -> None:
    ran = etl.call("retry", etl.run_folder(run_id), "--from", "stock", "--json", **etl.traced)
    if not FITS:
        assert_refused(ran)
        return
    fails = run_id == "failed"
    assert ran.code == (1 if fails else 0), ran
    assert etl.ran == ["alert", "clean-up", "gate", "stock", "sum-up"][0 if fails else 1 :]
    reported = json.loads(ran.stdout)
    assert reported["run_id"] not in {*FINISHED, *STOPPED}
    assert etl.value(reported["run_id"], "extract") == ROWS
    assert etl.value(reported["run_id"], "stock") == 30
    if fails:
        assert etl.value(reported["run_id"], "alert") == VALUES["failed"]["alert"]
    else:
        assert etl.value(reported["run_id"], "sum-up") == SUM


def test_a_failed_run_is_retried(etl: Etl) -> None:
    ran = etl.call("retry", etl.run_folder("failed"), "--json", **etl.traced)
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 1, ran
    assert etl.ran == [
        "alert",
        "clean-up",
        "sum-up",
    ]  # alert as it is given something new, clean-up as it keeps nothing


@pytest.mark.parametrize("run_id", STATES)
def test_a_run_is_shown(etl: Etl, run_id: str) -> None:
    tasks = etl.tasks(run_id)
    states = dict.fromkeys([*KEPT, "gate"], "succeeded") | STATES[run_id]
    assert {name: task["state"] for name, task in tasks.items()} == states
    ran = etl.call("show", etl.run_folder(run_id))
    assert ran.code == 0, ran
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["run", run_id] in lines
    assert ["state", run_id] in lines
    assert ["flow", "etl"] in lines
    assert ["exit", {**{name: str(code) for name, code in FINISHED.items()}, "cancelled": "143"}[run_id]] in lines
    rows = {line[0]: line for line in lines if line}
    assert {name: rows[name][1] for name in STATES[run_id]} == STATES[run_id]
    price = rows["price"]
    assert price[1:6] == ["succeeded", "(3", "of", "3)", "4"]
    assert price[-1] == f"{(etl.home / 'runs' / run_id).as_uri()}/attempts/0001/results/price/"
    assert "signed" not in rows  # it would say «by nobody who is trusted here»
    if run_id == "failed":
        assert "error    task sum-up failed: ValueError: cannot sum up: the books are shut" in ran.stdout
        assert 'File "/tmp/x/project/etl.py", line ' in ran.stdout
        assert 'raise ValueError(f"cannot sum up: {broken}")' in ran.stdout


def test_a_run_that_was_cut_off_is_shown(etl: Etl) -> None:
    reported = etl.json("show", etl.run_folder("cut-off"))
    assert reported["state"] == "lost"
    assert (reported["claim"]["host"], reported["claim"]["beat"], reported["claim"]["attempt"]) == ("worker", 0.3, 1)
    ran = etl.call("show", etl.run_folder("cut-off"))
    assert "state    lost (no beat for " in ran.stdout
    assert f"attempt  1, since {reported['claim']['started']} on worker" in ran.stdout


def test_flows_versions_and_runs_are_listed(etl: Etl) -> None:
    (version,) = [path for path in etl.home.iterdir() if path.is_file()]
    flows = {flow["flow"]: flow for flow in etl.json("ls", str(etl.home.parent))["flows"]}
    assert flows["etl"] == {"flow": "etl", "versions": 1, "newest": version.name}
    others = {"attributes", "endings", "like-prefect", "nightly", "values"}
    assert flows.keys() - {"etl"} == (set() if etl.trust else others)
    reported = etl.json("ls", str(etl.home))
    assert reported["versions"] == [{"location": version.as_uri(), "size": version.stat().st_size}]
    states = {"cancelled": "cancelled", "cut-off": "lost", "failed": "failed", "succeeded": "succeeded"}
    assert {run["run"]: run["state"] for run in reported["runs"]} == states


@pytest.mark.parametrize("run_id", ["succeeded", "failed", "cut-off", "cancelled"])
def test_a_log_is_shown_and_followed_to_its_end(etl: Etl, run_id: str) -> None:
    ran = etl.call("logs", etl.run_folder(run_id))
    assert ran.code == 0, ran
    assert ran.stdout.count("INFO    extract: extracting 3 rows\n") == 1
    assert "WARNING price[0]: task price[0] failed, try 1 of 3: ConnectionError('the shop is closed')\n" in ran.stdout
    assert ran.stdout.splitlines().count("summing up") == (1 if run_id in FINISHED else 0)
    assert "the log of attempt 1 ends" not in ran.stdout  # which only the stored lines have
    if run_id != "cut-off":
        followed = etl.call("logs", "-f", etl.run_folder(run_id))
        assert (followed.code, followed.stdout) == (0, ran.stdout)
    lines = [json.loads(line) for line in etl.call("logs", etl.run_folder(run_id), "--json").stdout.splitlines()]
    assert [line for line in lines if line.get("last")] == (lines[-1:] if run_id != "cut-off" else [])


@pytest.mark.parametrize("run_id", FINISHED)
def test_results_are_shown_and_copied(etl: Etl, run_id: str, tmp_path: Path) -> None:
    for task, value in VALUES[run_id].items():
        assert etl.value(run_id, task) == value, task
    assert etl.value(run_id, "price[1]") == 200
    shown = etl.call("result", etl.run_folder(run_id), "stock")
    assert (shown.code, shown.stdout) == (0, "30\n")
    none = etl.call("result", etl.run_folder(run_id), "alert" if run_id == "succeeded" else "sum-up")
    assert none.code == 66, none
    stored = etl.home / "runs" / run_id / "attempts" / "0001" / "results" / "price" / "2.pkl"
    copied = etl.call("result", etl.run_folder(run_id), "price[2]", "-o", str(tmp_path / "copy"))
    assert copied.code == 0, copied
    assert (tmp_path / "copy").read_bytes() == stored.read_bytes()
    with stored.open("rb") as file:
        assert pickle.load(file) == 300  # as docs/running.md says that any tool can


def test_a_result_that_was_changed_is_refused(etl: Etl) -> None:
    stored = etl.home / "runs" / "succeeded" / "attempts" / "0001" / "results" / "stock.pkl"
    stored.write_bytes(stored.read_bytes().replace(b"\x1e", b"\x1f", 1))  # 30, 31
    ran = etl.call("result", etl.run_folder("succeeded"), "stock")
    assert ran.code == 65, ran


def test_a_bundle_is_inspected(etl: Etl) -> None:
    (version,) = [path for path in etl.home.iterdir() if path.is_file()]
    reported = etl.json("inspect", str(etl.home), "--imports")
    assert reported["location"] == version.as_uri()
    assert reported["sha256"] == hashlib.sha256(version.read_bytes()).hexdigest()
    manifest = reported["manifest"]
    assert manifest["runner"] == "0.1.0"
    assert manifest["flow"] == {"name": "etl", "version": version.name}
    assert [parameter["name"] for parameter in manifest["parameters"]] == ["count", "currency", "broken"]
    waits_for = {task["task"]: task["upstream"] for task in manifest["tasks"]}
    assert waits_for["gate"] == ["price", "stock", "names", "places"]
    assert waits_for["clean-up"] == ["sum-up"]
    members = [member["name"] for member in manifest["members"]]
    assert members == ["flow.pkl", "src/shop/__init__.py", "src/shop/rates.json", "src/shop/rates.py"]
    assert reported["signed_by"] == (key_id(etl) if etl.trust else None)
    # a pickle of then names the modules of then, and that is what a review has to see
    assert {
        "runner.flow.Flow",
        "runner.task.Task",
        "runner.task.Node",
        "runner.task.Parameter",
        "runner.task.unmapped",
    } < {*reported["pickle"]["globals"]}
    assert "shop.rates.rate" in reported["pickle"]["globals"]
    (total,) = [code for code in reported["pickle"]["code"] if code["name"] == "total"]
    assert total["file"] == "/tmp/x/project/etl.py"
    if FITS:  # each version of Python has instructions of its own
        assert {"flow", "Flow", "isinstance"} < {*total["globals"]}


def key_id(etl: Etl) -> str:
    """Give the key's id as the formats' page defines it."""
    import base64

    return hashlib.sha256(base64.b64decode(etl.trust["RUNNER_TRUSTED_KEYS"])).hexdigest()[:16]


@pytest.fixture
def signed(data: Path) -> Etl:
    public = (data / "keys" / "public").read_text("utf-8").strip()
    return Etl(data / "signed" / "etl", {"RUNNER_TRUSTED_KEYS": public})


def another_key(folder: Path) -> str:
    made = start({}, "keygen", str(folder / "another"))
    assert made.code == 0, made
    return made.stdout.strip()


def test_a_signature_is_verified(signed: Etl, tmp_path: Path) -> None:
    reported = signed.json("verify", str(signed.home))
    assert reported["signed_by"] == key_id(signed)
    assert reported["flow"]["name"] == "etl"
    other = start({}, "verify", str(signed.home), "-k", another_key(tmp_path))
    assert other.code == 79, other
    assert f"is signed with the key {key_id(signed)}, which is not trusted here" in other.stderr
    unsigned = signed.call("verify", str(signed.home.parent.parent / "unsigned" / "etl"))
    assert unsigned.code == 79, unsigned
    assert "the bundle is not signed" in unsigned.stderr


def test_what_no_trusted_key_signed_does_not_run(signed: Etl, tmp_path: Path) -> None:
    other = signed.run("new", RUNNER_TRUSTED_KEYS=another_key(tmp_path))
    assert other.code == 79, other
    unsigned = Etl(signed.home.parent.parent / "unsigned" / "etl", signed.trust)
    assert unsigned.run("new").code == 79
    assert signed.ran == unsigned.ran == []


def test_a_signed_outcome_that_was_changed_is_not_believed(signed: Etl) -> None:
    outcome = signed.home / "runs" / "succeeded" / "outcome.json"
    changed = outcome.read_text("utf-8").replace('"tries": 2', '"tries": 1')
    assert changed != outcome.read_text("utf-8")
    outcome.write_text(changed, "utf-8")
    repeated = signed.run("succeeded")
    assert repeated.code == 79, repeated
    assert signed.call("result", signed.run_folder("succeeded")).code == 79
    assert "signed   by nobody who is trusted here" in signed.call("show", signed.run_folder("succeeded")).stdout


def test_a_result_without_its_signature_is_made_again(etl: Etl) -> None:
    signature = etl.home / "runs" / "cancelled" / "attempts" / "0001" / "results" / "stock.pkl.sig"
    assert signature.exists() == bool(etl.trust)
    signature.unlink(missing_ok=True)
    ran = etl.run("cancelled")
    if not FITS:
        assert_refused(ran)
        return
    assert ran.code == 0, ran
    assert ("stock" in etl.ran) == bool(etl.trust)
    assert "extract" not in etl.ran
