"""Attacks by whoever can write beside the bundle: planted results, ends, outcomes and a planted ``run.json``.

The flow is signed by its author, who also signs what runs of it write. Mallory can write anything to the bucket.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from runner import naming
from runner.runs.layout import SIGNATURE, RunLayout
from runner.signing.run_signatures import RunSigner, request_digest
from support.canary import MALLORY
from support.flows import outcome_of
from support.scene import FOLDER, Scene, begin, look, move, wait_for
from support.starting import start


def test_of_nobody_who_attacks_a_run_goes_on(scene: Scene) -> None:
    """The control: with the author's signatures what is durable is taken, and an outcome is repeated."""
    scene.cut_off()
    before = scene.calls()
    assert scene.run("hold and abort").code == 134
    assert scene.calls()[len(before) :] == ["last"]
    assert start(scene.environ(RUNNER_RUN_ID="done")).code == 0
    again = start(scene.environ(RUNNER_RUN_ID="done"))
    assert (again.code, "nothing is run again" in again.lines[-1]["message"]) == (0, True)


# Results


def test_a_result_is_planted_for_a_task_that_is_still_to_run(scene: Scene) -> None:
    """She stores a pickle of her own, with a true trailer, where the last task's result belongs."""
    scene.cut_off()
    scene.place.write(FOLDER.result(1, "last", None), scene.planted())
    assert scene.run("hold and abort").code == 134
    assert scene.calls()[-1] == "last"
    assert not scene.canary.executed


def test_a_result_is_exchanged_for_hers(scene: Scene) -> None:
    """She replaces what the first task gave; its signature still lies beside it."""
    scene.cut_off()
    scene.place.write(FOLDER.result(1, "first", None), scene.planted())
    before = scene.calls()
    assert scene.run("hold and abort").code == 134
    assert "first" in scene.calls()[len(before) :]
    assert not scene.canary.executed


def test_she_signs_her_result_herself(scene: Scene) -> None:
    """Her signature is true, and hers."""
    scene.cut_off()
    planted = scene.planted()
    size, sha256 = len(planted) - 44, planted[-32:].hex()
    own = RunSigner(request_digest(scene.document(FOLDER.run)), MALLORY)
    key = FOLDER.result(1, "first", None)
    scene.place.write(key, planted)
    scene.place.write(f"{key}{SIGNATURE}", own.sign_result("r", "first", None, size, sha256) or b"")
    assert scene.run("hold and abort").code == 134
    assert not scene.canary.executed


def test_a_result_is_put_in_the_place_of_another_tasks(scene: Scene) -> None:
    """Both are the author's: one element's result, with its signature, stands for another's."""
    scene.cut_off()
    move(scene, FOLDER.result(1, "each", 3), FOLDER.result(1, "each", 0))
    before = scene.calls()
    assert scene.run("hold and abort").code == 134
    assert "each[0]" in scene.calls()[len(before) :]


def test_a_result_of_another_run_is_put_in_this_one(scene: Scene) -> None:
    """Of the same flow with the same parameters, signed by the author, but of last week, say."""
    scene.cut_off()
    (scene.notes / "go on").unlink()
    scene.cut_off("old")
    move(scene, RunLayout("steps", "old").result(1, "first", None), FOLDER.result(1, "first", None))
    before = scene.calls()
    assert scene.run("hold and abort").code == 134
    assert "first" in scene.calls()[len(before) :]


def test_a_signature_is_taken_away(scene: Scene) -> None:
    """She deletes what lies beside the results; then they are nobody's, and the run starts from its first task."""
    scene.cut_off()
    scene.delete(*[key for key in scene.place.keys() if key.endswith(SIGNATURE)])  # noqa: SIM118 - it is no dict
    before = scene.calls()
    assert scene.run("hold and abort").code == 134
    ran = scene.calls()[len(before) :]
    assert sorted(ran) == sorted(before)


def test_a_planted_result_gets_into_no_outcome_of_a_flow_that_timed_out(scene: Scene) -> None:
    """The flow's process is killed at the end of its time, and the supervisor lists what lies there."""
    scene.place.write(FOLDER.result(1, "planted", None), scene.planted())
    assert scene.go_on_when_durable("hold in native code", RUNNER_TIMEOUT="8", RUNNER_GRACE="0.3") == 124
    listed = {task["task"] for task in outcome_of(scene.place, "r", "steps")["tasks"]}
    assert "planted" not in listed
    assert "first" in listed


# Ends and outcomes


def test_an_outcome_is_planted(scene: Scene) -> None:
    """She says that the run has succeeded; nobody who trusts only the author repeats that."""
    scene.cut_off()
    end = scene.document(FOLDER.end(1))
    for planted in (end, {name: part for name, part in end.items() if name != "signature"}):
        lie = planted | {"state": "succeeded", "exit_code": 0, "error": None}
        scene.write(FOLDER.outcome, lie)
        refused = scene.run("hold and abort")
        assert refused.code == 79, refused
        assert "outcome.json" in refused.error["message"]


def test_an_end_that_concludes_is_planted(scene: Scene) -> None:
    """Only the attempt's end is hers, and she lets the next start write the outcome."""
    scene.cut_off()
    lie = scene.document(FOLDER.end(1)) | {"state": "succeeded", "exit_code": 0, "error": None}
    scene.write(FOLDER.end(1), lie)
    assert scene.run("hold and abort").code == 79
    assert FOLDER.outcome not in scene.place.keys()  # noqa: SIM118


def test_she_signs_her_outcome_herself(scene: Scene) -> None:
    """With a key of her own, and true for this run."""
    scene.cut_off()
    lie = scene.document(FOLDER.end(1)) | {"state": "succeeded", "exit_code": 0, "error": None}
    signature = RunSigner(request_digest(scene.document(FOLDER.run)), MALLORY).sign(lie)
    scene.write(FOLDER.outcome, lie | {"signature": signature})
    refused = scene.run("hold and abort")
    assert (refused.code, MALLORY.public.id in refused.error["message"]) == (79, True)


def test_an_outcome_of_another_run_is_put_in_this_one(scene: Scene) -> None:
    """It is the author's, and of a run with other parameters."""
    scene.cut_off()
    assert start(scene.environ("go on", RUNNER_RUN_ID="other")).code == 0
    other = scene.document(RunLayout("steps", "other").outcome)
    for lie in (other, other | {"run_id": "r"}):
        scene.write(FOLDER.outcome, lie)
        assert scene.run("hold and abort").code == 79


def test_an_outcome_of_the_same_asked_for_under_another_run_id_is_put_in_this_one(scene: Scene) -> None:
    """It is the author's, of last week's run with the very same bundle and parameters, and every byte is as it was."""
    assert start(scene.environ("go on", RUNNER_RUN_ID="old")).code == 0
    before = scene.calls()
    old = RunLayout("steps", "old")
    scene.place.write(FOLDER.outcome, scene.place.read(old.outcome))
    refused = scene.run("go on")
    assert (refused.code, "is of run 'old'" in refused.error["message"]) == (79, True)
    assert scene.calls() == before
    scene.delete(FOLDER.outcome)
    scene.place.write(FOLDER.end(1), scene.place.read(old.end(1)))
    assert scene.run("go on").code == 79
    refused = look(scene, "result", f"{scene.place.url}/steps/runs/r", "last")
    assert (refused.code, "of another run or attempt" in refused.stderr) == (65, True), refused


def test_an_end_is_planted_while_the_attempt_lives(scene: Scene) -> None:
    """The flow's process finds its end taken, dies, and the exit code is not what the planted one says."""
    with_end = scene.environ("hold")
    process = begin(with_end)
    wait_for((scene.notes / "holding").exists)
    claim = scene.document(FOLDER.claim(1))
    facts = {name: claim[name] for name in ("format", "token", "run_id", "attempt", "started", "host", "python")}
    bundle = scene.document(FOLDER.run)["bundle"]
    lie = {**facts, "ended": naming.now(), "flow": "steps", "bundle": bundle, "state": "succeeded", "exit_code": 0}
    scene.write(FOLDER.end(1), lie | {"error": None, "tasks": []})
    (scene.notes / "go on").touch()
    assert process.wait(60) not in {0, 75}
    assert FOLDER.outcome not in scene.place.keys()  # noqa: SIM118


# What was asked for


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("parameters", {"folder": "/", "kind": "leave processes"}),
        ("bundle", {"url": "file:///mallory", "sha256": "0" * 64}),
        ("executor", "sequential"),
        ("reuse", {"run_id": "old", "from": None}),
    ],
)
def test_what_was_asked_for_is_changed(scene: Scene, name: str, planted: Any) -> None:
    """She rewrites run.json, to have the next start run what she wants."""
    scene.cut_off()
    scene.write(FOLDER.run, scene.document(FOLDER.run) | {name: planted})
    before = scene.calls()
    refused = scene.run("hold and abort")
    assert refused.code == 79, refused
    assert "was begun with" in refused.error["message"]
    assert scene.calls() == before


def test_parameters_that_nobody_gave_are_not_taken_from_the_bucket(scene: Scene) -> None:
    """The start names none, so none are meant."""
    scene.cut_off()
    environ = scene.environ("hold and abort")
    del environ["RUNNER_PARAMETERS"]
    refused = start(environ)
    assert refused.code == 79, refused


# Who looks at it later


def test_a_result_is_exchanged_after_the_run(scene: Scene) -> None:
    """Somebody wants to see it, and would unpickle hers."""
    assert scene.run().code == 0
    url = f"{scene.place.url}/steps/runs/r"
    assert look(scene, "result", url, "last").stdout == "92\n"
    scene.place.write(FOLDER.result(1, "last", None), scene.planted())
    assert look(scene, "result", url, "last").code == 65
    outcome = scene.document(FOLDER.outcome)
    planted = scene.planted()
    for task in outcome["tasks"]:
        if task["task"] == "last":
            task["result"] |= {"size": len(planted) - 44, "sha256": planted[-32:].hex()}
    scene.write(FOLDER.outcome, outcome)
    assert look(scene, "result", url, "last").code == 79
    assert look(scene, "retry", url, "--from", "last").code == 79
    assert "nobody who is trusted here" in look(scene, "show", url).stdout
    assert not scene.canary.executed


def test_a_run_is_gone_on_with_by_its_url_alone(scene: Scene) -> None:
    """What to run would come from her run.json."""
    scene.cut_off()
    refused = look(scene, "run", "--resume", f"{scene.place.url}/steps/runs/r")
    assert (refused.code, "RUNNER_TRUSTED_KEYS" in refused.stderr) == (2, True)


def test_a_flow_whose_container_signs_nothing_starts_from_its_first_task(scene: Scene) -> None:
    """The container has public keys alone: what its runs stored is nobody's, and is not used."""
    (scene.notes / "go on").touch()
    environ = scene.environ("hold and abort")
    del environ["RUNNER_SIGNING_KEY"]
    environ["RUNNER_RUN_ID"] = "unsigned"
    for _ in range(2):
        before = scene.calls() if (scene.notes / "calls").exists() else []
        assert start(environ).code == 128 + signal.SIGABRT
        assert scene.calls()[len(before) :][0] == "first"
