"""How a process ends, whatever is done to it, and what that leaves of its run."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.runs.store import RunStore
from runner.supervisor import supervise
from support.flows import located, outcome_of, publish
from support.places import Place, local_place
from support.process_runs import begin, concluded, end_of, trouble, wait_for
from support.restored_logging import restored_logging
from support.servers.s3_as_aws import Lost, S3AsAws
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("_documents_are_as_described")


def test_asked_to_stop_a_run_is_cancelled_and_the_next_start_goes_on(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    environ = trouble(here, "wait", file=str(tmp_path / "marker"))
    process = begin(environ)
    wait_for(tmp_path / "marker", process)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (143, "")
    assert json.loads(stdout.splitlines()[-1])["code"] == 143
    assert not (tmp_path / "marker.part").exists()
    assert (end_of(here)["state"], end_of(here)["exit_code"]) == ("cancelled", 143)
    assert not concluded(here)

    (tmp_path / "marker").unlink()
    process = begin(environ)
    child = int(wait_for(tmp_path / "marker", process))
    os.kill(child, signal.SIGKILL)
    process.communicate()
    assert process.returncode == 137
    assert (end_of(here, 2)["state"], end_of(here, 2)["exit_code"]) == ("crashed", 137)
    assert "SIGKILL" in end_of(here, 2)["error"]["message"]


def test_an_interrupt_from_the_keyboard_cancels_the_run(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    environ = trouble(here, "wait", file=str(tmp_path / "marker"))
    process = begin(environ, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_for(tmp_path / "marker", process)
    os.killpg(process.pid, signal.SIGINT)  # both processes get it, as from a terminal
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (130, "")
    assert json.loads(stdout.splitlines()[-1])["code"] == 130
    assert end_of(here)["state"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(
    here: Place, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGHUP as under nohup, SIGINT as a shell's script has it for what it starts in the background."""
    publish(here, "trouble.py")
    environ = trouble(here, "wait", file=str(tmp_path / "marker"))
    process = begin(environ, start_new_session=True, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    wait_for(tmp_path / "marker", process)
    os.killpg(process.pid, number)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert "SIGTERM" in end_of(here)["error"]["message"]


def test_a_process_that_dies_while_it_loads_leaves_no_claim_without_an_end(here: Place) -> None:
    here.write("trouble/abort", b"\x80\x04\x8c\x05posix\x8c\x05abort\x93)R.")
    for _ in range(3):
        done = start(located(here, "trouble/abort") | {"RUNNER_RUN_ID": "r"})
        assert done.code == 134, done
        assert "SIGABRT" in done.error["message"]
    kept = here.keys()
    claimed = {key.removesuffix("claim.json") for key in kept if key.endswith("claim.json")}
    ended = {key.removesuffix("end.json") for key in kept if key.endswith("end.json")}
    assert claimed == ended


def test_answers_that_are_lost_change_nothing(tmp_path: Path) -> None:
    place = local_place(tmp_path / "storage")
    publish(place, "trouble.py")
    with S3AsAws() as s3:
        s3.objects |= {key: place.read(key) for key in place.keys()}  # noqa: SIM118 - it is no dict
        folder = "trouble/runs/r"
        lost = ("run.json", "attempts/0001/claim.json", "attempts/0001/end.json", "outcome.json")
        s3.lose_answer = [Lost(f"{folder}/{name}") for name in lost]
        environ = s3.server.environ | {"RUNNER_LOCATION": f"s3://{s3.bucket}/trouble", "RUNNER_RUN_ID": "r"}
        done = start(environ | {"RUNNER_PARAMETERS": '{"kind": "do well"}'})
        assert done.code == 0, done
        assert s3.objects[f"{folder}/outcome.json"] == s3.objects[f"{folder}/attempts/0001/end.json"]


@pytest.mark.parametrize(("refused", "state"), [("end.json", None), ("outcome.json", "succeeded")])
def test_success_is_never_told_before_the_outcome_is_durable(tmp_path: Path, refused: str, state: str | None) -> None:
    """Writing one document is not allowed; once it is, the next start brings to an end what this one could not."""
    place = local_place(tmp_path / "storage")
    publish(place, "trouble.py")
    with S3AsAws() as s3:
        s3.objects |= {key: place.read(key) for key in place.keys()}  # noqa: SIM118 - it is no dict
        answer = s3._act

        def act(request: Any) -> Any:
            s3.can_write = not request.key.endswith(refused)
            return answer(request)

        s3._act = act  # type: ignore[method-assign]
        environ = s3.server.environ | {"RUNNER_LOCATION": f"s3://{s3.bucket}/trouble", "RUNNER_RUN_ID": "r"}
        environ |= {"RUNNER_PARAMETERS": '{"kind": "do well"}', "RUNNER_HEARTBEAT": "0.3", "RUNNER_PATIENCE": "1"}
        done = start(environ)
        assert done.code == 73
        assert "the end of the run could not be written" in done.error["message"]
        assert "trouble/runs/r/outcome.json" not in s3.objects
        end = s3.objects.get("trouble/runs/r/attempts/0001/end.json")
        assert (end and json.loads(end)["state"]) == state
        s3._act = answer  # type: ignore[method-assign]
        s3.can_write = True
        assert start(environ).code == 0
        assert "trouble/runs/r/outcome.json" in s3.objects


def test_a_flow_that_does_not_stop_is_killed_after_the_grace(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    environ = trouble(
        here, "wait deaf", file=str(tmp_path / "marker"), RUNNER_GRACE="0.2", RUNNER_EXECUTOR="sequential"
    )
    process = begin(environ)
    wait_for(tmp_path / "marker", process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert end_of(here)["state"] == "cancelled"


@pytest.mark.parametrize("backend", ["local", "azure"], indirect=True)
def test_a_run_that_takes_too_long_has_timed_out(place: Place, tmp_path: Path) -> None:
    publish(place, "trouble.py")
    done = start(trouble(place, "wait", file=str(tmp_path / "marker"), RUNNER_TIMEOUT="2"))
    assert done.code == 124
    assert "RUNNER_TIMEOUT" in done.error["message"]
    assert outcome_of(place, "r", "trouble")["state"] == "timed_out"
    assert start(trouble(place, "wait", file=str(tmp_path / "marker"))).code == 124


@pytest.mark.parametrize(
    ("kind", "code", "state", "said"),
    [
        ("segfault", 139, "crashed", "SIGSEGV"),
        ("be killed", 137, "crashed", "for memory"),
        ("leave at once", 1, "failed", "ended its own process"),
        ("interrupt", 1, "failed", "KeyboardInterrupt"),
        ("fail with half a surrogate", 1, "failed", "caf"),
        ("fail at length", 1, "failed", "\U0001f600\0 longlong"),
    ],
)
def test_however_the_process_dies_its_attempt_has_an_end(
    here: Place, kind: str, code: int, state: str, said: str
) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, kind))
    assert done.code == code
    assert said in done.error["message"]
    assert said in end_of(here)["error"]["message"]
    assert (end_of(here)["state"], end_of(here)["exit_code"]) == (state, code)
    assert concluded(here) == (state == "failed")


@pytest.mark.parametrize(
    "kind", ["close descriptors", "write into descriptors", "leave a child", "leave a thread", "change folder"]
)
def test_what_a_flow_does_to_its_process_changes_nothing_about_its_outcome(
    here: Place, tmp_path: Path, kind: str
) -> None:
    publish(here, "trouble.py")
    file = tmp_path / "the flow's own file"
    with (tmp_path / "log").open("w") as log:  # a file: nobody's pipe is held open by what outlives the run
        process = begin(trouble(here, kind, file=str(file)), stdout=log)
        assert process.wait(20) == 0
    assert json.loads((tmp_path / "log").read_text().splitlines()[-1])["code"] == 0
    assert outcome_of(here, "r", "trouble")["state"] == "succeeded"
    assert kind != "close descriptors" or file.read_bytes() == b""


def test_an_interrupt_in_the_main_thread_is_the_flows_own_doing(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "interrupt", RUNNER_EXECUTOR="sequential"))
    assert done.code == 1
    assert outcome_of(here, "r", "trouble")["state"] == "failed"


def test_nobody_reading_the_log_changes_nothing(here: Place) -> None:
    publish(here, "trouble.py")
    process = begin(trouble(here, "do well"))
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert outcome_of(here, "r", "trouble")["state"] == "succeeded"


def test_without_standard_output_a_flow_still_runs(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "do well"), preexec_fn=lambda: os.close(1))
    assert (done.code, done.stderr) == (0, "")


def test_a_launcher_that_ignores_its_children_changes_nothing(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "fail"), preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.code == 1


def test_a_process_that_dies_right_after_its_end_leaves_the_exit_code_to_it(
    here: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Between end.json and outcome.json the child is killed: the parent finds the end and concludes the run."""
    publish(here, "trouble.py")
    parent, conclude = os.getpid(), RunStore.create_outcome

    def die_or_conclude(*arguments: Any) -> None:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        conclude(*arguments)

    monkeypatch.setattr(RunStore, "create_outcome", die_or_conclude)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with restored_logging():
        finished = supervise.supervise(trouble(here, "do well"), sys.stdout)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert finished.code == 0
    assert outcome_of(here, "r", "trouble")["state"] == "succeeded"
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (last["code"], last["message"]) == (0, "run r succeeded")
