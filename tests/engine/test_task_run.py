"""One try of a task: time limits, coroutines, saving, and what a person interrupts."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from runner.engine.executors import Sequential, Threads
from runner.errors import WriteFailed
from support.engine_runs import PATIENCE_SECONDS, error_of, record_of, run, same, states, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engine.executors import Executor
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord


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
    error = error_of(report.tasks[0])
    assert (error["type"], error["message"]) == ("TimeoutError", "took longer than 0.1 s")
    assert "in forever" in error["traceback"]
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
    assert error_of(run(flow, executor).failed[0])["message"] == "took longer than 0.1 s"


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
    assert [error_of(each)["message"] for each in report.failed] == ["took longer than 0.1 s"] * 2
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
    assert error_of(run(flow, executor).failed[0])["message"] == "took longer than 0.1 s"


def test_a_timeout_error_of_a_coroutines_own_stays_as_it_is(executor: Executor) -> None:
    async def waits() -> None:
        raise TimeoutError("of the database")

    with Flow("f") as flow:
        task(waits, timeout=60)()
    assert error_of(run(flow, executor).failed[0])["message"] == "of the database"


def untraced(code: str) -> list[str]:
    """Run code in a process of its own, and give the lines that it prints.

    Coverage must not measure it: under a tracer, Python 3.11 spins in place while an interruption is set for a thread
    that is still in native code.
    """
    begin = """if True:
    import threading, time
    import runner.engine.task_run
    from runner import Flow, task
    from runner.engine.scheduler import Engine
    from runner.engine.executors import Threads
    runner.engine.task_run.STUCK_AFTER_SECONDS = 0.3
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
def test_a_task_that_swallows_the_interruption_is_abandoned() -> None:
    stop, threads, saved = threading.Event(), list[threading.Thread](), list[str]()

    def swallows() -> None:
        threads.append(threading.current_thread())
        while not stop.is_set():
            try:
                while not stop.is_set():
                    step()
            except BaseException:  # noqa: BLE001
                pass

    def save(node: Node, _index: int | None, _value: Any) -> Callable[[], ResultRecord]:
        saved.append(node.slug)
        return lambda: record_of("late")

    with Flow("f") as flow:
        task(swallows, timeout=0.1)()
    report = run(flow, save=save)
    assert error_of(report.failed[0])["message"].startswith("took longer than 0.1 s and is still")
    stop.set()
    threads[0].join(PATIENCE_SECONDS)  # its slot is another's, and what it gave comes too late to be stored
    assert not threads[0].is_alive()
    assert saved == []


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


def test_a_coroutine_of_a_compiled_function_is_awaited(executor: Executor) -> None:
    """Those of Cython have a type of their own: https://github.com/cython/cython/issues/2273."""

    class Compiled:
        def __init__(self, value: int) -> None:
            self.left = [value]

        def __await__(self) -> Compiled:
            return self

        __iter__ = __await__

        def __next__(self) -> None:
            self.send(None)

        def send(self, _value: None) -> None:
            raise StopIteration(self.left.pop())

        def throw(self, error: BaseException) -> None:
            raise error

        def close(self) -> None:
            self.left.clear()

    with Flow("f") as flow:
        task(Compiled, name="later")(4)
    assert run(flow, executor).result("later") == 4


def test_tasks_after_it_run_while_a_result_is_still_being_stored() -> None:
    followed = threading.Event()

    def save(node: Node, _index: int | None, value: Any) -> Callable[[], ResultRecord]:
        def store() -> ResultRecord:
            assert node.slug != "first" or followed.wait(PATIENCE_SECONDS)
            return record_of(f"{node.slug}={value}")

        return store

    with Flow("f") as flow:
        task(lambda _: followed.set(), name="second", checkpoint=False)(task(lambda: 1, name="first")())
    report = run(flow, Threads(2), save=save)
    assert [each["result"] for each in report.tasks] == [record_of("first=1"), None]


@pytest.mark.parametrize("late", [True, False])
def test_a_storage_error_while_saving_ends_the_run_with_it(executor: Executor, late: bool) -> None:  # noqa: FBT001
    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], ResultRecord]:
        def store() -> ResultRecord:
            raise WriteFailed("the disk is full")

        return store if late else store()  # type: ignore[return-value]

    with Flow("f") as flow:
        task(lambda: 1, name="give")()
    with pytest.raises(WriteFailed, match="the disk is full"):
        run(flow, executor, save=save)


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
        never.wait(PATIENCE_SECONDS)

    with Flow("f") as flow:
        task(interrupts)()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(flow, Threads(1))
    assert time.monotonic() - begin < PATIENCE_SECONDS / 2
    never.set()


def test_keyboard_interrupt_in_another_thread_is_the_tasks_failure() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with Flow("f") as flow:
        task(interrupted)()
    assert error_of(run(flow, Threads(1)).failed[0])["type"] == "KeyboardInterrupt"


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
            assert each["state"] == "succeeded" or error_of(each)["message"] == "took longer than 0.01 s"
    assert len(report.tasks) == 120


def test_a_clock_that_is_set_back_makes_no_duration_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    """NTP set the clock back by six hours while a task ran, and the table said -21551 seconds."""
    true = time.time

    @task
    def set_back() -> None:
        monkeypatch.setattr(time, "time", lambda: true() - 21551)

    with Flow("clock") as flow:
        set_back()
    [record] = run(flow).tasks
    assert record["started"]
    assert record["ended"]
    assert record["started"] <= record["ended"]
