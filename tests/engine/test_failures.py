"""What a failure means for the tasks after it, and retries."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task
from runner.engine.executors import Threads
from runner.engine.scheduler import Engine
from runner.errors import FlowFailed, TaskError
from support.engine_runs import PATIENCE_SECONDS, Boom, boom, error_of, run, same, states

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engine.executors import Executor
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord


@pytest.mark.parametrize("seconds", [1e10, 1e300, timedelta.max], ids=str)
def test_what_never_comes_is_waited_for(seconds: Any, executor: Executor) -> None:
    """A lock of Python's waits for 292 years at the most."""

    async def other() -> str:
        return "waited for"

    with Flow("f") as flow:
        task(same, name="give", timeout=seconds)("waited for")
        task(other, timeout=seconds)()
    report = run(flow, executor)
    assert report.result("give") == report.result("other") == "waited for"


def test_a_retry_that_never_comes_is_waited_for() -> None:
    engines: list[Engine] = []

    def cancel() -> None:
        engines[0].cancel()

    with Flow("f") as flow:
        task(boom, retries=1, retry_delay=1e10)()
        task(cancel)()
    engines.append(Engine(flow, {}, Threads(1)))
    assert engines[0].run().state == "cancelled"


def test_a_failed_task_skips_what_depends_on_it_and_the_rest_finishes(executor: Executor) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        give(give(task(boom)()))
        give(give("rest"))
    report = run(flow, executor)
    assert report.state == "failed"
    assert states(report) == {
        "boom": "failed",
        "give": "skipped",
        "give-2": "skipped",
        "give-3": "succeeded",
        "give-4": "succeeded",
    }
    assert isinstance(report.error, Boom)
    skipped = report.tasks[1]
    assert (skipped["started"], skipped["ended"], skipped["error"], skipped["tries"]) == (None, None, None, 0)


def test_a_cleanup_runs_whatever_happened_and_is_given_the_exception(executor: Executor) -> None:
    seen: list[Any] = []
    cleanup = task(lambda *values: seen.extend(values), name="cleanup", trigger="all_finished")
    with Flow("f") as flow:
        failed = task(boom)()
        skipped = task(same, name="give")(failed)
        mapped = task(lambda x: 1 / x, name="inverse").map([0, 1])
        cleanup(failed, skipped, mapped, task(lambda: 1, name="one")())
    assert run(flow, executor, keep_values=False).state == "failed"
    error, skip, (zero, whole), one = seen
    assert isinstance(error, Boom)
    assert isinstance(skip, TaskError)
    assert str(skip) == "give was skipped"
    assert isinstance(zero, ZeroDivisionError)
    assert (whole, one) == (1, 1)


def test_an_alert_runs_when_something_before_it_failed_or_was_skipped_for_it(executor: Executor) -> None:
    alert = task(lambda *_: "rang", name="alert", trigger="any_failed")
    with Flow("f") as flow:
        failed = task(boom)()
        alert(failed)
        alert(task(same, name="give")(failed))
        alert(upstream_tasks=[flow.nodes[-2], task(lambda: 1, name="one")()])
    report = run(flow, executor)
    assert [report.result(f"alert{end}") for end in ("", "-2", "-3")] == ["rang"] * 3


def test_an_alert_that_is_not_needed_leaves_the_flow_succeeded(executor: Executor) -> None:
    alert, give = task(boom, name="alert", trigger="any_failed"), task(same, name="give")
    with Flow("f") as flow:
        rung = alert(give(1))
        give(rung)  # only after an alarm
        give.map(rung)
        alert(rung)  # nothing failed before it
        alert.map(give.map([1, 2]))
    report = run(flow, executor)
    assert report.state == "succeeded"
    assert [states(report)[name] for name in ("alert", "give-2", "give-3", "alert-2", "alert-3[1]")] == ["skipped"] * 5


def test_sys_exit_is_the_tasks_failure(executor: Executor) -> None:
    with Flow("f") as flow:
        task(sys.exit, name="leave")(3)
        task(same, name="rest")(1)
    report = run(flow, executor)
    assert report.state == "failed"
    error = error_of(report.failed[0])
    assert (error["type"], error["message"]) == ("SystemExit", "the task called sys.exit(3)")
    assert states(report)["rest"] == "succeeded"


def test_an_exception_whose_message_cannot_be_made_is_recorded_all_the_same(executor: Executor) -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    def shy() -> None:
        raise Shy

    with Flow("f") as flow:
        task(shy)()
    (failed,) = run(flow, executor).failed
    assert error_of(failed)["message"] == "its message cannot be told: ValueError"


def test_a_traceback_begins_at_the_users_code(executor: Executor, caplog: pytest.LogCaptureFixture) -> None:
    async def waits() -> None:
        await asyncio.sleep(0)
        boom()

    with Flow("f") as flow:
        task(boom)()
        task(waits)()
        task(boom, name="wrong")(upstream_tasks=[])
    with caplog.at_level(logging.ERROR):
        report = run(flow, executor)
    for failed, function in zip(report.failed, ("boom", "waits"), strict=False):
        lines = error_of(failed)["traceback"].splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith(f"in {function}")
    assert "runner/engine/" not in error_of(report.failed[0])["traceback"]
    assert "task boom failed" in {record.message.split(":")[0] for record in caplog.records}


def test_flow_run_raises_with_the_first_failed_tasks_exception_as_its_cause() -> None:
    late = threading.Event()

    def first() -> None:
        late.wait(PATIENCE_SECONDS)
        raise Boom("first")

    def second() -> None:
        late.set()
        raise ValueError("second")

    with Flow("f") as flow:
        task(first)()
        task(second)()
    with pytest.raises(FlowFailed, match=r"task first failed: .*Boom: first \(and 1 more failed\)") as caught:
        flow.run()
    assert isinstance(caught.value.__cause__, Boom)


def test_flow_run_gives_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_EXECUTOR", "sequential")
    with Flow("f") as flow:
        task(threading.current_thread, name="where", checkpoint=False)()
        task(lambda day: day, name="give")(Parameter("day", default=1))
    report = flow.run(day=2)
    assert report.result("where") is threading.main_thread()
    assert report.result("give") == 2
    assert report.failed == []
    with pytest.raises(KeyError):
        report.result("nothing")


def test_flow_run_refuses_a_result_that_no_container_could_store() -> None:
    with Flow("f") as flow:
        task(threading.Lock, name="make").map([], upstream_tasks=[task(threading.Lock, name="hold")()])
    with pytest.raises(FlowFailed, match="the result of task hold cannot be pickled: result: lock") as caught:
        flow.run()
    assert isinstance(caught.value.__cause__, TaskError)


def failing(times: int) -> Callable[[], int]:
    tries = 0

    def flaky() -> int:
        nonlocal tries
        tries += 1
        if tries <= times:
            raise Boom(str(tries))
        return tries

    return flaky


def test_a_task_is_tried_again_after_its_delay(executor: Executor) -> None:
    moments: list[float] = []

    def flaky() -> str:
        moments.append(time.monotonic())
        if len(moments) < 3:
            raise Boom
        return "done"

    with Flow("f") as flow:
        task(flaky, retries=5, retry_delay=0.05)()
    report = run(flow, executor)
    assert report.result("flaky") == "done"
    assert report.tasks[0]["tries"] == 3
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(moments))


def test_a_task_fails_after_its_last_retry(executor: Executor) -> None:
    with Flow("f") as flow:
        task(failing(9), retries=2)()
    report = run(flow, executor)
    assert (report.tasks[0]["tries"], error_of(report.tasks[0])["message"]) == (3, "3")


def test_others_run_while_a_retry_is_waited_for(executor: Executor) -> None:
    ran: list[str] = []

    def flaky() -> None:
        if not ran:
            raise Boom

    with Flow("f") as flow:
        task(flaky, retries=1, retry_delay=0.1)()
        task(lambda: ran.append("other"), name="other")()
    assert run(flow, executor).state == "succeeded"


def test_a_value_that_cannot_be_pickled_is_no_reason_to_try_again(executor: Executor) -> None:
    calls: list[int] = []

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], ResultRecord]:
        raise TaskError("cannot be pickled")

    with Flow("f") as flow:
        task(lambda: calls.append(1), name="give", retries=3)()
    report = run(flow, executor, save=save)
    assert calls == [1]
    assert error_of(report.failed[0])["message"] == "cannot be pickled"
