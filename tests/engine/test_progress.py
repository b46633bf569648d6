"""How far a flow is, at any moment, task by task."""

from __future__ import annotations

import json
import threading
from typing import Any

from runner import Flow, task
from runner.engine.executors import Threads
from runner.engine.progress import MOST_TASKS, ProgressMeter
from runner.engine.scheduler import Engine
from runner.limits import limit_of
from support.engine_runs import PATIENCE_SECONDS, boom, same


def read_during(flow: Flow, begun: threading.Event, go_on: threading.Event, **parameters: Any) -> tuple[Any, Any]:
    """What the meter reads while the flow holds, and when it is over."""
    engine = Engine(flow, flow.with_defaults(parameters), Threads(4))
    meter = ProgressMeter(engine.graph)
    thread = threading.Thread(target=engine.run)
    thread.start()
    assert begun.wait(PATIENCE_SECONDS)
    during = meter.read()
    go_on.set()
    thread.join(PATIENCE_SECONDS)
    return during, meter.read()


def counts(progress: Any) -> dict[str, tuple[Any, ...]]:
    """By task: total, running, succeeded, failed, skipped."""
    names = ("total", "running", "succeeded", "failed", "skipped")
    return {each["task"]: tuple(each[name] for name in names) for each in progress["tasks"]}


def test_each_task_is_counted_as_far_as_it_is() -> None:
    begun, go_on = threading.Event(), threading.Event()

    @task
    def hold(number: int) -> int:
        if number == 2:
            begun.set()
            assert go_on.wait(PATIENCE_SECONDS)
        return number

    with Flow("f") as flow:
        failed = task(boom, name="failed")()
        skipped = task(same, name="skipped")(failed)
        numbers = task(same, name="numbers", trigger="all_finished")([0, 1, 2], upstream_tasks=[skipped])
        held = hold.map(numbers)
        task(same, name="one")(held)
        task(same, name="unknown").map(task(same, name="list")(held))
    engine_read, over = read_during(flow, begun, go_on)
    assert counts(engine_read)["failed"] == (1, 0, 0, 1, 0)
    assert counts(engine_read)["skipped"] == (1, 0, 0, 0, 1)
    assert counts(engine_read)["one"] == (1, 0, 0, 0, 0)
    assert counts(engine_read)["unknown"] == (None, 0, 0, 0, 0)
    total, running, succeeded, *_ = counts(engine_read)["hold"]
    assert (total, running + succeeded <= 3, running >= 1) == (3, True, True)
    assert engine_read["longest"]["task"] == "hold"
    assert counts(over)["hold"] == (3, 0, 3, 0, 0)
    assert counts(over)["unknown"] == (3, 0, 3, 0, 0)
    assert over["longest"] is None


def test_of_many_tasks_those_at_work_are_listed_in_few_bytes() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)

    with Flow("f") as flow:
        before = [task(same, name="語" * 60 + str(number))(number) for number in range(2 * MOST_TASKS)]
        task(hold, name="held")(before)
        for number in range(2 * MOST_TASKS):
            task(same, name=f"after {number}")(number)
    during, over = read_during(flow, begun, go_on)
    assert len(during["tasks"]) == len(over["tasks"]) == MOST_TASKS
    assert during["more"] == 3 * MOST_TASKS + 1
    assert counts(during)["held"] == (1, 1, 0, 0, 0)
    assert len(json.dumps(during, ensure_ascii=False).encode()) < limit_of("beat")
