"""The engine alone: tasks run in this process, and nothing is stored unless a test says how."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task, unmapped
from runner.engine import scheduler
from runner.engine.executors import Sequential, Threads, open_executor
from runner.engine.report import Report, failure
from runner.engine.scheduler import Engine
from runner.errors import FlowFailed, InternalError, TaskError, WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runner.engine.executors import Executor
    from runner.model.task import Node, Trigger

    Place = tuple[str, int | None]

PATIENCE = 20  # seconds that a test waits for what must come


class Boom(Exception):
    pass


class Big:
    """A value that can be watched."""

    def __reduce__(self) -> Any:
        raise AssertionError


def boom(*_: Any, **__: Any) -> None:
    raise Boom("as told")


def same(value: Any) -> Any:
    return value


def step() -> int:
    """What a loop must do to be interrupted also while it is traced: Python 3.11 does not look up in an empty one."""
    return 1


def run(flow: Flow, executor: Executor | None = None, *, keep: bool = True, **options: Any) -> Report:
    given = options.pop("parameters", {})
    return Engine(flow, flow.with_defaults(given), executor or Threads(4), keep=keep, **options).run()


def states(report: Report) -> dict[str, str]:
    return {
        each["task"] if each["index"] is None else f"{each['task']}[{each['index']}]": each["state"]
        for each in report.tasks
    }


@pytest.fixture(params=["threads:3", "sequential"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return open_executor(request.param)


@pytest.fixture
def soon_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "STUCK_AFTER", 0.3)


# Values and order


def test_a_task_is_given_what_the_tasks_before_it_gave(executor: Executor) -> None:
    add, double = task(lambda a, b: a + b, name="add"), task(lambda a: 2 * a, name="double")
    with Flow("f") as flow:
        add(double(1), b=double(2))
    report = run(flow, executor)
    assert report.state == "succeeded"
    assert report.result("add") == 6
    assert report.result("double-2") == 4


def test_values_are_found_in_nested_lists_tuples_sets_and_dicts(executor: Executor) -> None:
    one, give = task(lambda: 1, name="one"), task(same, name="give")
    with Flow("f") as flow:
        node = one()
        give({"a": [node, (node, {"b": node})], "c": {node}, "d": [2]})
    assert run(flow, executor).result("give") == {"a": [1, (1, {"b": 1})], "c": {1}, "d": [2]}


def test_upstream_tasks_only_order(executor: Executor) -> None:
    seen: list[str] = []
    first, second = task(lambda: seen.append("first"), name="first"), task(lambda: seen.append("second"), name="second")
    with Flow("f") as flow:
        node = first()
        second(upstream_tasks=[node])
    assert run(flow, executor).state == "succeeded"
    assert seen == ["first", "second"]


def test_a_parameter_is_handed_over(executor: Executor) -> None:
    with Flow("f") as flow:
        task(lambda values: values, name="give")([Parameter("day"), Parameter("n", default=3)])
    assert run(flow, executor, parameters={"day": "monday"}).result("give") == ["monday", 3]


def test_sequential_runs_in_this_thread_deepest_first_and_else_as_written() -> None:
    seen: list[str] = []

    def note(name: str, *_: Any) -> str:
        assert threading.current_thread() is threading.main_thread()
        seen.append(name)
        return name

    noted = task(note)
    with Flow("f") as flow:
        a, b = noted("a"), noted("b")
        noted("c")
        noted("after a", a)
        noted.map(noted.map(["x", "y"]), unmapped(b))
    assert run(flow, Sequential()).state == "succeeded"
    assert seen == ["a", "after a", "b", "c", "x", "x", "y", "y"]


def test_a_flow_without_tasks_succeeds(executor: Executor) -> None:
    report = run(Flow("empty"), executor)
    assert (report.state, report.tasks) == ("succeeded", [])


def test_a_chain_of_2000_tasks_does_not_recurse(executor: Executor) -> None:
    add = task(lambda value: value + 1, name="add")
    with Flow("f") as flow:
        node: Any = 0
        for _ in range(2000):
            node = add(node)
    assert run(flow, executor).result("add-2000") == 2000


def test_10000_mapped_tasks_run_within_15_seconds() -> None:
    begin = time.monotonic()
    add = task(lambda value: value + 1, name="add")
    with Flow("f") as flow:
        task(sum, name="total")(add.map(add.map(list(range(5000)))))
    assert run(flow, keep=False).state == "succeeded"
    assert time.monotonic() - begin < 15


def test_threads_run_as_many_at_once_as_they_may_and_no_more() -> None:
    running, most = 0, 0
    lock, together = threading.Lock(), threading.Barrier(3)

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(PATIENCE)
        with lock:
            running -= 1

    with Flow("f") as flow:
        task(work).map(list(range(12)))
    assert run(flow, Threads(3)).state == "succeeded"
    assert most == 3


def test_the_time_of_a_task_is_told(executor: Executor) -> None:
    with Flow("f") as flow:
        task(same, name="give")(1)
    record = run(flow, executor).tasks[0]
    assert record["started"] < record["ended"]
    assert (record["tries"], record["error"], record["result"], record["mapped"]) == (1, None, None, False)


# Mapping


def test_mapped_over_mapped_over_lists_over_parameters(executor: Executor) -> None:
    pair, give = task(lambda a, b, c=0: (a, b, c), name="pair"), task(same, name="give")
    with Flow("f") as flow:
        letters = give.map(Parameter("letters", default=["x", "y"]))
        numbers = give([1, 2])
        pair.map(letters, numbers, c=unmapped(give(7)))
        task(list, name="all")(letters)
    report = run(flow, executor)
    assert report.result("pair") == [("x", 1, 7), ("y", 2, 7)]
    assert report.result("all") == ["x", "y"]


def test_mapped_over_a_list_that_holds_nodes_each_element_waits_for_its_own(executor: Executor) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        mapped = give.map([1, 2])
        task(same, name="bad")(task(boom)())
        give.map([give("a"), [give("b"), mapped], flow.nodes[-1], 4])
    report = run(flow, executor)
    assert states(report)["give-4[2]"] == "succeeded"
    assert report.result("give-4") == ["a", ["b", [1, 2]], "b", 4]


def test_an_unmapped_argument_may_hold_nodes_and_mapped_ones_come_as_lists(executor: Executor) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        mapped = give.map([1, 2])
        task(lambda a, b: (a, b), name="pair").map([5, 6], unmapped({"all": mapped}))
        task(lambda a, b: (a, b), name="both").map(mapped, unmapped(mapped))
    report = run(flow, executor, keep=True)
    assert report.result("pair") == [(5, {"all": [1, 2]}), (6, {"all": [1, 2]})]
    assert report.result("both") == [(1, [1, 2]), (2, [1, 2])]
    assert states(run(flow, keep=False))["both[1]"] == "succeeded"


def test_an_unmapped_argument_of_a_plain_call_is_the_argument(executor: Executor) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        give(unmapped(give(1)))
    assert run(flow, executor).result("give-2") == 1


def test_what_is_mapped_over_is_handed_on_untouched(executor: Executor) -> None:
    value = [[1, {"a": 2}], (3,)]
    with Flow("f") as flow:
        task(lambda part, table: (part, table), name="give").map(task(lambda: value, name="make")(), unmapped(value))
    (first, table), _ = run(flow, executor).result("give")
    assert first is value[0]
    assert table is value


def test_named_tuples_stay_what_they_are(executor: Executor) -> None:
    from collections import namedtuple

    point = namedtuple("point", "x y")  # noqa: PYI024 - what authors use
    with Flow("f") as flow:
        task(same, name="give")(point(task(lambda: 1, name="one")(), 2))
    assert run(flow, executor).result("give") == point(1, 2)


@pytest.mark.parametrize("keep", [True, False])
def test_mapped_over_nothing_there_is_no_element_and_all_goes_on(executor: Executor, keep: bool) -> None:  # noqa: FBT001
    give = task(same, name="give")
    seen: list[Any] = []
    with Flow("f") as flow:
        task(seen.append, name="all")(give.map(give.map(give([]))))
    report = run(flow, executor, keep=keep)
    assert report.state == "succeeded"
    assert seen == [[]]
    empty = report.tasks[1]
    assert (empty["task"], empty["index"], empty["mapped"], empty["tries"]) == ("give-2", None, True, 0)


def test_mapped_over_nothing_still_waits_for_its_upstream_tasks(executor: Executor) -> None:
    seen: list[str] = []
    with Flow("f") as flow:
        first = task(lambda: seen.append("first"), name="first")()
        mapped = task(same, name="give").map([], upstream_tasks=[first])
        task(lambda _: seen.append("second"), name="second")(mapped)
    assert run(flow, executor).state == "succeeded"
    assert seen == ["first", "second"]


def test_mapped_over_nothing_is_skipped_when_what_it_waits_for_failed(executor: Executor) -> None:
    with Flow("f") as flow:
        mapped = task(same, name="give").map([], upstream_tasks=[task(boom)()])
        task(same, name="after")(mapped)
        task(same, name="over").map(mapped)
        task(type, name="cleanup", trigger="all_finished")(mapped)
    report = run(flow, executor)
    assert states(report) == dict.fromkeys(("give", "after", "over"), "skipped") | {
        "boom": "failed",
        "cleanup": "succeeded",
    }
    assert report.result("cleanup") is TaskError


class Unhelpful:
    def __iter__(self) -> Iterator[int]:
        yield 1
        raise Boom("half way")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([5], "cannot be mapped over a value of type int; give a list"),
        (["text"], "cannot be mapped over a value of type str; give a list"),
        ([[1, 2], [1, 2, 3]], "mapped over arguments of different lengths: 2, 3"),
        ([Unhelpful()], "cannot be mapped over a value of type Unhelpful: half way"),
    ],
)
def test_what_cannot_be_mapped_over_fails_its_task_alone(executor: Executor, values: list[Any], message: str) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        mapped = task(boom, name="mapped").map(*(give(value) for value in values))
        give(mapped)
        give.map(mapped)
        give("other")
    report = run(flow, executor)
    count = len(values)
    assert [each["error"]["message"] for each in report.failed] == [message]
    assert states(report)["mapped"] == "failed"
    assert [states(report)[f"give-{count + n}"] for n in (1, 2, 3)][:3] == ["skipped", "skipped", "succeeded"]


def test_mapped_over_what_failed_it_is_skipped(executor: Executor) -> None:
    with Flow("f") as flow:
        task(same, name="give").map(task(boom)())
    assert states(run(flow, executor)) == {"boom": "failed", "give": "skipped"}


def test_one_element_that_fails_skips_only_what_depends_on_it(executor: Executor) -> None:
    inverse, give = task(lambda x: 1 / x, name="inverse"), task(same, name="give")
    with Flow("f") as flow:
        mapped = inverse.map([1, 0, 2])
        give(give.map(mapped))
    report = run(flow, executor)
    assert states(report) == {
        "inverse[0]": "succeeded",
        "inverse[1]": "failed",
        "inverse[2]": "succeeded",
        "give[0]": "succeeded",
        "give[1]": "skipped",
        "give[2]": "succeeded",
        "give-2": "skipped",
    }
    assert failure(report) == "task inverse[1] failed: ZeroDivisionError: division by zero"


def test_a_mapped_element_starts_as_soon_as_its_own_input_is_there() -> None:
    followed = threading.Event()

    def first(index: int) -> int:
        assert index == 0 or followed.wait(PATIENCE)  # the last one ends only after b[0] has run
        return index

    with Flow("f") as flow:
        task(lambda _: followed.set(), name="b").map(task(first).map([0, 1]))
    assert run(flow, Threads(2)).state == "succeeded"


# Failures and triggers


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


def test_a_cleanup_runs_whatever_happened_and_is_handed_the_exception(executor: Executor) -> None:
    seen: list[Any] = []
    cleanup = task(lambda *values: seen.extend(values), name="cleanup", trigger="all_finished")
    with Flow("f") as flow:
        failed = task(boom)()
        skipped = task(same, name="give")(failed)
        mapped = task(lambda x: 1 / x, name="inverse").map([0, 1])
        cleanup(failed, skipped, mapped, task(lambda: 1, name="one")())
    assert run(flow, executor, keep=False).state == "failed"
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
    told = report.failed[0]["error"]
    assert (told["type"], told["message"]) == ("SystemExit", "the task called sys.exit(3)")
    assert states(report)["rest"] == "succeeded"


def test_an_exception_that_cannot_tell_its_message_is_told_all_the_same(executor: Executor) -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    def shy() -> None:
        raise Shy

    with Flow("f") as flow:
        task(shy)()
    (failed,) = run(flow, executor).failed
    assert failed["error"]["message"] == "its message cannot be told: ValueError"


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
        lines = failed["error"]["traceback"].splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith(f"in {function}")
    assert "runner/engine.py" not in report.failed[0]["error"]["traceback"]
    assert "task boom failed" in {record.message.split(":")[0] for record in caplog.records}


def test_flow_run_raises_with_the_first_failed_tasks_exception_as_its_cause() -> None:
    late = threading.Event()

    def first() -> None:
        late.wait(PATIENCE)
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
        task(threading.current_thread, name="where")()
        task(lambda day: day, name="give")(Parameter("day", default=1))
    report = flow.run(day=2)
    assert report.result("where") is threading.main_thread()
    assert report.result("give") == 2
    assert report.failed == []
    with pytest.raises(KeyError):
        report.result("nothing")


# Retries


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
    assert (report.tasks[0]["tries"], report.tasks[0]["error"]["message"]) == (3, "3")


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

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], dict[str, Any]]:
        raise TaskError("cannot be pickled")

    with Flow("f") as flow:
        task(lambda: calls.append(1), name="give", retries=3)()
    report = run(flow, executor, save=save)
    assert calls == [1]
    assert report.failed[0]["error"]["message"] == "cannot be pickled"


# Time limits


@pytest.mark.unmeasured
def test_a_python_loop_is_interrupted_at_its_time_limit(executor: Executor) -> None:
    def forever() -> None:
        count = 0
        while True:
            count += step()

    with Flow("f") as flow:
        task(forever, timeout=0.1)()
        task(same, name="give")(1)
    report = run(flow, executor)
    told = report.tasks[0]["error"]
    assert (told["type"], told["message"]) == ("TimeoutError", "took longer than 0.1 s")
    assert "in forever" in told["traceback"]
    assert states(report)["give"] == "succeeded"


@pytest.mark.unmeasured
def test_except_exception_does_not_swallow_a_time_limit(executor: Executor) -> None:
    def stubborn() -> None:
        while True:
            try:
                while True:
                    step()
            except Exception:  # noqa: BLE001
                pass

    with Flow("f") as flow:
        task(stubborn, timeout=0.1)()
    assert run(flow, executor).failed[0]["error"]["message"] == "took longer than 0.1 s"


@pytest.mark.unmeasured
def test_a_task_that_ran_out_of_time_is_tried_again(executor: Executor) -> None:
    tries: list[int] = []

    def slow_once() -> str:
        tries.append(1)
        while len(tries) < 2:
            step()
        return "done"

    with Flow("f") as flow:
        task(slow_once, timeout=0.2, retries=1)()
    assert run(flow, executor).result("slow-once") == "done"


@pytest.mark.unmeasured
def test_a_coroutine_is_cancelled_at_its_time_limit(executor: Executor) -> None:
    cancelled: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def busy() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with Flow("f") as flow:
        task(forever, timeout=0.1)()
        task(busy, timeout=0.1)()
    report = run(flow, executor)
    assert [each["error"]["message"] for each in report.failed] == ["took longer than 0.1 s"] * 2
    assert cancelled == [True]


@pytest.mark.usefixtures("soon_stuck")
@pytest.mark.unmeasured
def test_a_coroutine_that_does_not_wait_is_interrupted_at_its_time_limit(executor: Executor) -> None:
    async def forever() -> None:
        count = 0
        while True:
            count += step()

    with Flow("f") as flow:
        task(forever, timeout=0.1)()
    assert run(flow, executor).failed[0]["error"]["message"] == "took longer than 0.1 s"


def test_a_timeout_error_of_a_coroutines_own_is_told_as_it_is(executor: Executor) -> None:
    async def waits() -> None:
        raise TimeoutError("of the database")

    with Flow("f") as flow:
        task(waits, timeout=60)()
    assert run(flow, executor).failed[0]["error"]["message"] == "of the database"


def untraced(code: str) -> list[str]:
    """Run code in a process of its own, and give the lines that it prints.

    Coverage must not measure it: under a tracer, Python 3.11 spins in place while an interruption is set for a thread
    that is still in native code.
    """
    begin = """if True:
    import threading, time
    import runner.engine.scheduler
    from runner import Flow, task
    from runner.engine.scheduler import Engine
    from runner.engine.executors import Threads
    runner.engine.scheduler.STUCK_AFTER = 0.3
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", begin + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environ)
    return done.stdout.splitlines()


def test_native_code_that_does_not_come_back_loses_its_slot_and_is_not_tried_again() -> None:
    lines = untraced("""
    held, starts, ended = threading.Lock(), [], threading.Event()
    held.acquire()
    def native():
        starts.append(threading.current_thread())
        held.acquire()
        ended.set()
    saved = []
    def save(node, index, value):
        saved.append(node.slug)
        return dict
    with Flow("f") as flow:
        task(native, timeout=0.1, retries=3)()
        task(lambda x: x, name="rest").map(list(range(5)))
    report = Engine(flow, {}, Threads(1), save=save).run()
    print(report.failed[0]["error"]["message"])
    print([each["state"] for each in report.tasks])
    held.release()
    starts[0].join(20)
    print(len(starts), starts[0].is_alive(), ended.is_set(), saved)
    """)
    assert lines == [
        "took longer than 0.1 s and is still in native code, so it is not tried again",
        str(["failed", *["succeeded"] * 5]),
        f"1 False False {['rest'] * 5}",  # interrupted as soon as it came back
    ]


def test_the_process_ends_although_native_code_still_runs() -> None:
    (line,) = untraced("""
    with Flow("f") as flow:
        task(time.sleep, name="sleep", timeout=0.1)(600)
    try:
        flow.run()
    except runner.errors.FlowFailed as error:
        print(error)
    """)
    assert "still in native code" in line


@pytest.mark.usefixtures("soon_stuck")
@pytest.mark.unmeasured
def test_a_task_that_swallows_the_interruption_is_given_up_on() -> None:
    stop, threads, saved = threading.Event(), list[threading.Thread](), list[str]()

    def swallows() -> None:
        threads.append(threading.current_thread())
        while not stop.is_set():
            try:
                while not stop.is_set():
                    step()
            except BaseException:  # noqa: BLE001
                pass

    def save(node: Node, _index: int | None, _value: Any) -> Callable[[], dict[str, Any]]:
        saved.append(node.slug)
        return dict

    with Flow("f") as flow:
        task(swallows, timeout=0.1)()
    report = run(flow, save=save)
    assert report.failed[0]["error"]["message"].startswith("took longer than 0.1 s and is still")
    stop.set()
    threads[0].join(PATIENCE)  # its slot is another's, and what it gave comes too late to be stored
    assert not threads[0].is_alive()
    assert saved == []


# Coroutines


def test_coroutine_functions_and_plain_ones_that_give_a_coroutine_are_awaited(executor: Executor) -> None:
    async def waits(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    with Flow("f") as flow:
        task(waits)(task(lambda: waits(1), name="gives")())
        task(waits).map([1, 2])
    report = run(flow, executor)
    assert report.result("waits") == 3
    assert report.result("waits-2") == [2, 3]


# What is kept, and for how long


class Watch:
    """Makes values, and tells which are still there."""

    def __init__(self) -> None:
        self.refs: dict[Any, weakref.ref[Big]] = {}

    def make(self, name: Any, *_: Any) -> Big:
        big = Big()
        self.refs[name] = weakref.ref(big)
        return big

    def left(self) -> list[Any]:
        gc.collect()
        return [name for name, ref in self.refs.items() if ref() is not None]


def test_a_value_is_dropped_when_nothing_can_want_it_any_more(executor: Executor) -> None:
    watch, seen = Watch(), []
    make = task(watch.make, name="make")
    with Flow("f") as flow:
        first = make("first")
        second = make("second", first)
        third = task(lambda *_: seen.append(watch.left()), name="third")(upstream_tasks=[second])
        task(lambda *_: seen.append(watch.left()), name="fourth")(second, upstream_tasks=[third])
    assert run(flow, executor, keep=False).state == "succeeded"
    assert seen == [["second"], ["second"]]
    assert watch.left() == []


def test_an_element_is_dropped_when_its_own_followers_are_done() -> None:
    watch, seen = Watch(), []
    look = task(lambda _: seen.append(watch.left()), name="look")
    with Flow("f") as flow:
        look.map(task(watch.make, name="make").map(list(range(4))))
    assert run(flow, Sequential(), keep=False).state == "succeeded"
    assert seen == [[0], [1], [2], [3]]
    assert watch.left() == []


def test_an_element_that_nothing_wants_is_dropped_at_once() -> None:
    watch, seen = Watch(), []

    def make(name: int) -> Big:
        seen.append(watch.left())
        return watch.make(name)

    with Flow("f") as flow:
        mapped = task(make).map(list(range(4)))
        task(same, name="after")(1, upstream_tasks=[mapped])
    assert run(flow, Sequential(), keep=False).state == "succeeded"
    assert seen == [[]] * 4


def test_elements_of_a_list_are_dropped_with_their_followers() -> None:
    watch, seen = Watch(), []
    with Flow("f") as flow:
        parts = task(lambda: [watch.make(n) for n in range(3)], name="parts")()
        mapped = task(lambda _: None, name="use").map(parts)
        task(lambda: seen.append(watch.left()), name="look")(upstream_tasks=[mapped])
    assert run(flow, Sequential(), keep=False).state == "succeeded"
    assert seen == [[]]


def test_flow_run_keeps_values() -> None:
    watch = Watch()
    with Flow("f") as flow:
        task(same, name="give")(task(watch.make, name="make")("first"))
    report = flow.run()
    assert watch.left() == ["first"]
    assert isinstance(report.result("make"), Big)


# Saving


def test_tasks_after_it_run_while_a_result_is_still_under_way() -> None:
    followed = threading.Event()

    def save(node: Node, _index: int | None, value: Any) -> Callable[[], dict[str, Any]]:
        def durable() -> dict[str, Any]:
            assert node.slug != "first" or followed.wait(PATIENCE)
            return {"key": f"{node.slug}={value}"}

        return durable

    with Flow("f") as flow:
        task(lambda _: followed.set(), name="second", checkpoint=False)(task(lambda: 1, name="first")())
    report = run(flow, Threads(2), save=save)
    assert [each["result"] for each in report.tasks] == [{"key": "first=1"}, None]


@pytest.mark.parametrize("late", [True, False])
def test_a_storage_error_while_saving_ends_the_run_with_it(executor: Executor, late: bool) -> None:  # noqa: FBT001
    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], dict[str, Any]]:
        def durable() -> dict[str, Any]:
            raise WriteFailed("the disk is full")

        return durable if late else durable()  # type: ignore[return-value]

    with Flow("f") as flow:
        task(lambda: 1, name="give")()
    with pytest.raises(WriteFailed, match="the disk is full"):
        run(flow, executor, save=save)


# People


def test_keyboard_interrupt_ends_a_sequential_run_at_once() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Flow("f") as flow:
        task(interrupted)()
    with pytest.raises(KeyboardInterrupt):
        run(flow, Sequential())


def test_ctrl_c_ends_a_run_on_threads() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    never = threading.Event()

    def interrupts() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        never.wait(PATIENCE)

    with Flow("f") as flow:
        task(interrupts)()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(flow, Threads(1))
    assert time.monotonic() - begin < PATIENCE / 2
    never.set()


def test_keyboard_interrupt_in_another_thread_is_the_tasks_failure() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Flow("f") as flow:
        task(interrupted)()
    assert run(flow, Threads(1)).failed[0]["error"]["type"] == "KeyboardInterrupt"


def test_an_engine_that_waits_for_nothing_says_so() -> None:
    stalled = Engine(Flow("f"), {}, Sequential())
    stalled.left = 1
    with pytest.raises(InternalError, match="waits for nothing"):
        stalled.run()


# Any graph at all


class Expected:
    """What a unit or a node comes to, by the plain reading of the rules."""

    def __init__(self, state: str, value: Any = None, *, broken: bool = False) -> None:
        self.state, self.value, self.broken = state, value, broken

    @property
    def handed(self) -> Any:
        return self.value if self.state == "succeeded" else "error"


def work(fails: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001
    """Fail, or give what tells the arguments apart and is sometimes a list."""
    if fails:
        raise Boom
    told = repr((plain(args), plain(kwargs)))
    number = sum(map(ord, told))
    return [number % 7, number % 5, number % 3][: number % 4] if number % 2 else number % 1000


def plain(value: Any) -> Any:
    if isinstance(value, BaseException):
        return "error"
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


class Model:
    """Evaluates a flow node by node, in the order of its writing."""

    def __init__(self, flow: Flow) -> None:
        self.nodes: dict[Node, Expected] = {}
        self.elements: dict[Node, list[Expected]] = {}
        for node in flow.nodes:
            self.nodes[node] = self.mapped(node) if node.mapped else self.one(node, node.args, node.upstream)

    def one(self, node: Node, args: Any, upstream: list[Node], own: tuple[Expected, ...] = ()) -> Expected:
        sources = [*own, *(self.nodes[source] for source in upstream)]
        broken = any(source.broken for source in sources)
        trigger = node.task.trigger
        if trigger == "all_successful" and any(source.state != "succeeded" for source in sources):
            return Expected("skipped", broken=broken)
        if trigger == "any_failed" and not broken:
            return Expected("skipped")
        try:
            return Expected("succeeded", work(*(self.value(arg) for arg in args)))
        except Boom:
            return Expected("failed", broken=True)

    def value(self, arg: Any) -> Any:
        if isinstance(arg, Expected):
            return arg.handed
        if isinstance(arg, unmapped):
            return self.value(arg.value)
        if isinstance(arg, list):
            return [self.value(each) for each in arg]
        return self.nodes[arg].handed if arg in self.nodes else arg

    def mapped(self, node: Node) -> Expected:
        columns: list[Any] = []
        for arg in node.args:
            if isinstance(arg, unmapped | list):
                columns.append(arg)
            elif arg in self.elements:
                columns.append(self.elements[arg])
            else:
                columns.append(self.nodes[arg])
        lacking = [column for column in columns if isinstance(column, Expected) and column.state != "succeeded"]
        if lacking:
            return Expected("skipped", broken=any(source.broken for source in lacking))
        columns = [column.value if isinstance(column, Expected) else column for column in columns]
        if any(isinstance(column, int) for column in columns):
            return Expected("failed", broken=True)
        lengths = {len(column) for column in columns if isinstance(column, list)}
        if len(lengths) > 1:
            return Expected("failed", broken=True)
        units = []
        for index in range(lengths.pop()):
            args = [column[index] if isinstance(column, list) else column for column in columns]
            own = tuple(arg for arg in args if isinstance(arg, Expected))
            nodes = [each for each in self.nodes if any(holds(arg, each) for arg in args)]
            units.append(self.one(node, args, [*nodes, *node.after], own))
        self.elements[node] = units
        if not units:
            whole = self.one(node, (False,), node.upstream)
            return Expected(whole.state, [], broken=whole.broken)
        state = next((each for each in ("failed", "skipped") if each in {unit.state for unit in units}), "succeeded")
        whole = Expected(state, [unit.handed for unit in units], broken=any(unit.broken for unit in units))
        return Handed(whole)


class Handed(Expected):
    """A mapped node: it hands its list over whatever became of its elements."""

    def __init__(self, whole: Expected) -> None:
        super().__init__(whole.state, whole.value, broken=whole.broken)

    @property
    def handed(self) -> Any:
        return self.value


def holds(arg: Any, node: Node) -> bool:
    if isinstance(arg, unmapped):
        return holds(arg.value, node)
    return any(holds(each, node) for each in arg) if isinstance(arg, list) else arg is node


def random_flow(seed: int) -> Flow:
    dice = random.Random(seed)
    with Flow("random") as flow:
        for number in range(dice.randint(1, 12)):

            def pick() -> Any:
                if not flow.nodes or dice.random() < 0.2:
                    return dice.randint(0, 9)
                return dice.choice(flow.nodes)

            trigger: Trigger = dice.choice(["all_successful", "all_successful", "all_finished", "any_failed"])
            made = task(work, name=f"t{number}", trigger=trigger, retries=dice.choice([0, 0, 1]))
            after = [node for node in flow.nodes if dice.random() < 0.1]
            fails = dice.random() < 0.2
            if dice.random() < 0.5:
                args = [pick() if dice.random() < 0.7 else [pick(), pick()] for _ in range(dice.randint(0, 2))]
                made(fails, *args, upstream_tasks=after)
            else:
                length = dice.randint(0, 3)
                columns: list[Any] = [[pick() for _ in range(length)]]
                if flow.nodes:
                    columns = [*columns[: dice.randint(0, 1)], dice.choice(flow.nodes)]
                made.map(unmapped(fails), *columns, unmapped(pick()), upstream_tasks=after)
    return flow


@pytest.mark.parametrize("block", range(8))
def test_any_graph_comes_to_what_a_plain_reading_of_the_rules_gives(block: int) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    logging.disable(logging.CRITICAL)
    try:
        for seed in range(block * 250, (block + 1) * 250):
            flow = random_flow(seed)
            model = Model(flow)
            expected = {}
            for node in flow.nodes:
                units = model.elements.get(node) or [model.nodes[node]]
                indices: list[int | None] = [*range(len(units))] if model.elements.get(node) else [None]
                for index, unit in zip(indices, units, strict=True):
                    expected[node.slug, index] = unit.state
            keep = seed % 2 == 0
            executor = Sequential() if seed % 5 == 0 else Threads(1 + seed % 4)
            report = run(flow, executor, keep=keep)
            assert {(each["task"], each["index"]): each["state"] for each in report.tasks} == expected, seed
            if keep:
                values = {node.slug: plain(report.result(node.slug)) for node in flow.nodes}
                assert values == {node.slug: plain(model.nodes[node].handed) for node in flow.nodes}, seed
    finally:
        sys.setswitchinterval(before)
        logging.disable(logging.NOTSET)


@pytest.mark.unmeasured
def test_time_limits_that_run_out_as_the_task_ends_disturb_nothing() -> None:
    """Each task ends about when its limit does; what it says must hold, and the next one in its thread goes free."""
    dice, before = random.Random(5), sys.getswitchinterval()

    def spin(seconds: float) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return "done"

    with Flow("f") as flow:
        for _ in range(60):
            task(spin, name="spin", timeout=0.01)(0.01 + dice.uniform(-0.002, 0.002))
            task(same, name="free")("free")
    sys.setswitchinterval(1e-6)
    try:
        report = run(flow, Threads(2))
    finally:
        sys.setswitchinterval(before)
    for each in report.tasks:
        if each["name"] == "free":
            assert each["state"] == "succeeded"
        else:
            assert each["state"] == "succeeded" or each["error"]["message"] == "took longer than 0.01 s"
    assert len(report.tasks) == 120


# Being cancelled


def cancelled(flow: Flow, executor: Executor, when: threading.Event, **options: Any) -> Report:
    """Run a flow and cancel it once that is set."""
    engine = Engine(flow, flow.with_defaults({}), executor, **options)

    def cancel() -> None:
        assert when.wait(PATIENCE)
        engine.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    report = engine.run()
    thread.join()
    return report


@pytest.mark.unmeasured
def test_a_cancelled_flow_keeps_what_is_done_and_begins_no_more(executor: Executor) -> None:
    begun = threading.Event()

    @task
    def loop() -> None:
        begun.set()
        while True:
            step()

    with Flow("f") as flow:
        held = task(loop, name="held", retries=3)(upstream_tasks=[task(same, name="done")(1)])
        task(same, name="after", trigger="all_finished")(held)
        task(same, name="mapped").map(held)
    report = cancelled(flow, executor, begun)
    assert report.state == "cancelled"
    wanted = {"done": "succeeded", "held": "cancelled", "after": "cancelled", "mapped": "cancelled"}
    assert states(report) == wanted


def test_a_coroutine_is_cancelled_where_it_waits(executor: Executor) -> None:
    begun, cleaned = threading.Event(), threading.Event()

    @task
    async def wait() -> None:
        try:
            begun.set()
            await asyncio.sleep(PATIENCE)
        finally:
            cleaned.set()

    with Flow("f") as flow:
        wait()
    assert states(cancelled(flow, executor, begun)) == {"wait": "cancelled"}
    assert cleaned.is_set()


def test_results_under_way_are_stored_before_a_cancelled_flow_returns() -> None:
    begun, stored = threading.Event(), threading.Event()

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], dict[str, Any]]:
        def durable() -> dict[str, Any]:
            begun.set()
            time.sleep(0.1)
            stored.set()
            return {"key": "k"}

        return durable

    with Flow("f") as flow:
        task(same, name="last")(task(same, name="first")(1))
    report = cancelled(flow, Threads(2), begun, save=save)
    assert stored.is_set()
    assert report.tasks[0]["result"] == {"key": "k"}


def test_a_flow_that_is_done_when_it_is_cancelled_has_succeeded() -> None:
    with Flow("f") as flow:
        task(same)(1)
    engine = Engine(flow, {}, Threads(1))
    engine.run()
    engine.cancel()
    assert engine.report().state == "succeeded"


# What earlier attempts kept


class Store:
    """Results that were kept, by slug and index; of those in ``torn`` it turns out that they are of no use."""

    def __init__(
        self, values: dict[Place, Any], torn: Collection[Place] = (), attempts: dict[str, int] | None = None
    ) -> None:
        self.values, self.torn, self.attempts = values, torn, attempts or {}

    def has(self, slug: str, index: int | None) -> bool:
        return (slug, index) in self.values

    def is_whole(self, slug: str, index: int | None) -> bool:
        return self.has(slug, index) and (slug, index) not in self.torn

    def version(self, slug: str, index: int | None) -> tuple[int, int]:
        del index
        return 0, self.attempts.get(slug, 1)

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[dict[str, Any], Any] | None:
        if (slug, index) in self.torn:
            return None
        return {"key": f"{slug}/{index}"}, self.values[slug, index] if wanted else None


def resumed(kept: Store, executor: Executor) -> tuple[Report, list[str]]:
    """Run numbers → (double each, not kept) → (add one to each, kept) → total, and say which ran."""
    ran: list[str] = []

    @task(checkpoint=False)
    def numbers() -> list[int]:
        ran.append("numbers")
        return [1, 2, 3]

    @task(checkpoint=False)
    def double(number: int) -> int:
        ran.append(f"double {number}")
        return 2 * number

    @task
    def add(number: int) -> int:
        ran.append(f"add {number}")
        return number + 1

    @task
    def total(found: list[int]) -> int:
        ran.append("total")
        return sum(found)

    with Flow("f") as flow:
        total(add.map(double.map(numbers())))
    return run(flow, executor, kept=kept), ran


def test_what_was_kept_does_not_run_and_of_what_never_is_only_what_is_needed(executor: Executor) -> None:
    report, ran = resumed(Store({("add", 0): 3, ("add", 2): 7}), executor)
    assert sorted(ran) == ["add 4", "double 2", "numbers", "total"]
    assert report.result("total") == 3 + 5 + 7
    assert {each["task"]: each["tries"] for each in report.tasks if each["index"] == 0} == {"double": 0, "add": 0}


def test_with_the_last_result_there_little_runs(executor: Executor) -> None:
    kept: dict[Place, Any] = {("total", None): 15, ("add", 0): 3, ("add", 1): 5, ("add", 2): 7}
    report, ran = resumed(Store(kept), executor)
    assert ran == ["numbers"]  # only from it is it known how many there are
    assert report.state == "succeeded"


def test_what_was_kept_and_is_of_no_use_runs_again(executor: Executor) -> None:
    report, ran = resumed(Store({("add", 0): 3, ("add", 1): 5, ("add", 2): 7}, torn={("add", 1)}), executor)
    assert sorted(ran) == ["add 4", "double 2", "numbers", "total"]
    assert report.result("total") == 15


def test_a_task_that_nothing_waits_for_and_that_is_never_kept_runs(executor: Executor) -> None:
    ran: list[int] = []
    with Flow("f") as flow:
        task(ran.append, name="send", checkpoint=False)(task(same, name="made")(1))
    run(flow, executor, kept=Store({("made", None): 1}))
    assert ran == [1]


def test_what_was_left_out_is_not_made_up(executor: Executor) -> None:
    """What is kept was whole and cannot be taken: what it would be made of did not run."""

    class Fickle(Store):
        def load(self, slug: str, index: int | None, *, wanted: bool) -> None:
            del slug, index, wanted

    with Flow("f") as flow:
        task(same, name="kept")(task(same, name="unkept", checkpoint=False)(1))
    report = run(flow, executor, kept=Fickle({("kept", None): 1}))
    assert states(report) == {"unkept": "succeeded", "kept": "failed"}
    assert "what it is given was not kept" in report.failed[0]["error"]["message"]


def handled(kept: Store) -> list[str]:
    """Run extract → summary (whatever becomes of extract) → report, and say which ran."""
    ran: list[str] = []

    def step(name: str, **rules: Any) -> Any:
        def function(_before: object = None) -> str:
            ran.append(name)
            return name

        return task(function, name=name, **rules)

    with Flow("f") as flow:
        step("report")(step("summary", trigger="all_finished")(step("extract")()))
    assert run(flow, kept=kept).state == "succeeded"
    return ran


def test_what_was_made_of_a_failure_is_made_again_once_that_is_mended() -> None:
    old: dict[Place, Any] = {("summary", None): "0 rows", ("report", None): "0 rows"}
    assert handled(Store(old)) == ["extract", "summary", "report"]


def test_what_saw_the_same_as_now_is_kept() -> None:
    old: dict[Place, Any] = {(name, None): name for name in ("extract", "summary", "report")}
    assert handled(Store(old)) == []


@pytest.mark.parametrize(
    ("attempts", "ran"), [({"extract": 2}, ["summary", "report"]), ({"extract": 2, "summary": 2}, ["report"])]
)
def test_what_is_older_than_what_it_would_see_now_is_made_again(attempts: dict[str, int], ran: list[str]) -> None:
    old: dict[Place, Any] = {(name, None): name for name in ("extract", "summary", "report")}
    assert handled(Store(old, attempts=attempts)) == ran


def test_a_flow_whose_last_result_is_still_under_way_when_it_must_stop_has_not_succeeded() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], dict[str, Any]]:
        def durable() -> dict[str, Any]:
            begun.set()
            assert go_on.wait(PATIENCE)
            return {"key": "k"}

        return durable

    with Flow("f") as flow:
        task(same)(1)
    engine = Engine(flow, {}, Threads(1), save=save)
    thread = threading.Thread(target=engine.run)
    thread.start()
    assert begun.wait(PATIENCE)
    while engine.left:
        time.sleep(0.001)
    engine.cancel()
    assert engine.report().state == "cancelled"
    go_on.set()
    thread.join(PATIENCE)
    assert engine.report().state == "succeeded"


def test_what_is_needed_is_found_out_once_for_each_task() -> None:
    """Layers of tasks that are never kept, each given all of the one before: 3 to the 12th ways lead through them."""
    with Flow("f") as flow:
        layer = [task(same, name="first", checkpoint=False)(1)]
        for _ in range(12):
            layer = [task(len, name="layer", checkpoint=False)([*layer]) for _ in range(3)]
        task(len, name="last")(layer)
    assert run(flow, kept=Store({("last", None): 3})).state == "succeeded"
