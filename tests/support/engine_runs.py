"""Flows run by the engine in this process, for tests that need no storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.engine.executors import Threads
from runner.engine.scheduler import Engine

if TYPE_CHECKING:
    from runner import Flow
    from runner.engine.executors import Executor
    from runner.engine.report import Report
    from runner.schema.documents import ResultRecord, TaskErrorRecord, TaskRecord

PATIENCE_SECONDS = 20  # that a test waits for what must come


class Boom(Exception):
    pass


def boom(*_: Any, **__: Any) -> None:
    raise Boom("as told")


def same(value: Any) -> Any:
    return value


def step() -> int:
    """What a loop must do to be interrupted also while it is traced: Python 3.11 does not look up in an empty one."""
    return 1


def run(flow: Flow, executor: Executor | None = None, *, keep_values: bool = True, **options: Any) -> Report:
    given = options.pop("parameters", {})
    executor = executor or Threads(4)
    return Engine(flow, flow.with_defaults(given), executor, keep_values=keep_values, **options).run()


def states(report: Report) -> dict[str, str]:
    return {
        each["task"] if each["index"] is None else f"{each['task']}[{each['index']}]": each["state"]
        for each in report.tasks
    }


def error_of(task: TaskRecord) -> TaskErrorRecord:
    """The error of a task that has one."""
    assert task["error"] is not None
    return task["error"]


def record_of(key: str) -> ResultRecord:
    """The record of a result that is said to lie under this key."""
    return {"key": key, "size": 0, "sha256": "0" * 64, "type": None}
