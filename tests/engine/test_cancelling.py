"""A run that is to stop before it has ended."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from runner.engine.executors import Threads
from runner.engine.scheduler import Engine
from support.engine_runs import PATIENCE_SECONDS, record_of, same, states, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engine.executors import Executor
    from runner.engine.report import Report
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord


def cancelled(flow: Flow, executor: Executor, when: threading.Event, **options: Any) -> Report:
    """Run a flow and cancel it once that is set."""
    engine = Engine(flow, flow.with_defaults({}), executor, **options)

    def cancel() -> None:
        assert when.wait(PATIENCE_SECONDS)
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
            await asyncio.sleep(PATIENCE_SECONDS)
        finally:
            cleaned.set()

    with Flow("f") as flow:
        wait()
    assert states(cancelled(flow, executor, begun)) == {"wait": "cancelled"}
    assert cleaned.is_set()


def test_results_under_way_are_stored_before_a_cancelled_flow_returns() -> None:
    begun, stored = threading.Event(), threading.Event()

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], ResultRecord]:
        def store() -> ResultRecord:
            begun.set()
            time.sleep(0.1)
            stored.set()
            return record_of("k")

        return store

    with Flow("f") as flow:
        task(same, name="last")(task(same, name="first")(1))
    report = cancelled(flow, Threads(2), begun, save=save)
    assert stored.is_set()
    assert report.tasks[0]["result"] == record_of("k")


def test_a_flow_that_is_done_when_it_is_cancelled_has_succeeded() -> None:
    with Flow("f") as flow:
        task(same)(1)
    engine = Engine(flow, {}, Threads(1))
    engine.run()
    engine.cancel()
    assert engine.report().state == "succeeded"


def test_a_flow_whose_last_result_is_still_under_way_when_it_must_stop_has_not_succeeded() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def save(_node: Node, _index: int | None, _value: Any) -> Callable[[], ResultRecord]:
        def store() -> ResultRecord:
            begun.set()
            assert go_on.wait(PATIENCE_SECONDS)
            return record_of("k")

        return store

    with Flow("f") as flow:
        task(same)(1)
    engine = Engine(flow, {}, Threads(1), save=save)
    thread = threading.Thread(target=engine.run)
    thread.start()
    assert begun.wait(PATIENCE_SECONDS)
    while engine.left:
        time.sleep(0.001)
    engine.cancel()
    assert engine.report().state == "cancelled"
    go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert engine.report().state == "succeeded"
