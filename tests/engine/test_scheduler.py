"""Values, order, and how many tasks run at once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task, unmapped
from runner.engine.executors import Sequential, Threads
from runner.engine.scheduler import Engine
from runner.errors import InternalError
from support.engine_runs import PATIENCE_SECONDS, run, same

if TYPE_CHECKING:
    from runner.engine.executors import Executor


def test_a_task_is_given_what_the_tasks_before_it_gave(executor: Executor) -> None:
    add, double = task(lambda a, b: a + b, name="add"), task(lambda a: 2 * a, name="double")
    with Flow("f") as flow:
        add(double(1), b=double(2))
    report = run(flow, executor)
    assert report.state == "succeeded"
    assert report.result("add") == 6
    assert report.result("double-2") == 4


def test_the_only_task_of_a_name_is_found_by_it() -> None:
    with Flow("f") as flow:
        task(same, name="t_cv")(1)
        for value in (2, 3):
            task(same, name="by_two")(value)
    report = run(flow)
    assert report.result("t_cv") == report.result("t-cv") == 1
    assert report.result("by-two-2") == 3
    with pytest.raises(KeyError, match="no result 'by_two'; there are: t-cv, by-two, by-two-2"):
        report.result("by_two")


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


def test_a_task_is_given_a_parameters_value(executor: Executor) -> None:
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
    assert run(flow, keep_values=False).state == "succeeded"
    assert time.monotonic() - begin < 15


def test_threads_run_as_many_at_once_as_they_may_and_no_more() -> None:
    running, most = 0, 0
    lock, together = threading.Lock(), threading.Barrier(3)

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(PATIENCE_SECONDS)
        with lock:
            running -= 1

    with Flow("f") as flow:
        task(work).map(list(range(12)))
    assert run(flow, Threads(3)).state == "succeeded"
    assert most == 3


def test_the_time_of_a_task_is_recorded(executor: Executor) -> None:
    with Flow("f") as flow:
        task(same, name="give")(1)
    record = run(flow, executor).tasks[0]
    assert record["started"]
    assert record["ended"]
    assert record["started"] < record["ended"]
    assert (record["tries"], record["error"], record["result"], record["mapped"]) == (1, None, None, False)


def test_an_engine_that_waits_for_nothing_says_so() -> None:
    stalled = Engine(Flow("f"), {}, Sequential())
    stalled.left = 1
    with pytest.raises(InternalError, match="waits for nothing"):
        stalled.run()
