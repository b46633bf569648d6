"""Results that earlier attempts stored: what need not run again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from support.engine_runs import error_of, record_of, run, same, states

if TYPE_CHECKING:
    from collections.abc import Collection

    from runner.engine.executors import Executor
    from runner.engine.report import Report
    from runner.schema.documents import ResultRecord


Place = tuple[str, int | None]


class Cache:
    """Stored results by slug and index; of those in ``torn`` it turns out that they are of no use."""

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

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[ResultRecord, Any] | None:
        if (slug, index) in self.torn:
            return None
        return record_of(f"{slug}/{index}"), self.values[slug, index] if wanted else None


def resumed(cached: Cache, executor: Executor) -> tuple[Report, list[str]]:
    """Run numbers → (double each, not cached) → (add one to each, cached) → total, and say which ran."""
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
    return run(flow, executor, cache=cached), ran


def test_what_is_cached_does_not_run_and_of_what_never_is_only_what_is_required(executor: Executor) -> None:
    report, ran = resumed(Cache({("add", 0): 3, ("add", 2): 7}), executor)
    assert sorted(ran) == ["add 4", "double 2", "numbers", "total"]
    assert report.result("total") == 3 + 5 + 7
    assert {each["task"]: each["tries"] for each in report.tasks if each["index"] == 0} == {"double": 0, "add": 0}


def test_with_the_last_result_there_little_runs(executor: Executor) -> None:
    cached: dict[Place, Any] = {("total", None): 15, ("add", 0): 3, ("add", 1): 5, ("add", 2): 7}
    report, ran = resumed(Cache(cached), executor)
    assert ran == ["numbers"]  # only from it is it known how many there are
    assert report.state == "succeeded"


def test_what_is_cached_and_of_no_use_runs_again(executor: Executor) -> None:
    report, ran = resumed(Cache({("add", 0): 3, ("add", 1): 5, ("add", 2): 7}, torn={("add", 1)}), executor)
    assert sorted(ran) == ["add 4", "double 2", "numbers", "total"]
    assert report.result("total") == 15


def test_a_task_that_nothing_waits_for_and_that_is_never_cached_runs(executor: Executor) -> None:
    ran: list[int] = []
    with Flow("f") as flow:
        task(ran.append, name="send", checkpoint=False)(task(same, name="made")(1))
    run(flow, executor, cache=Cache({("made", None): 1}))
    assert ran == [1]


def test_what_was_skipped_as_unneeded_is_not_made_up(executor: Executor) -> None:
    """A cached result was whole and cannot be loaded: what it would be made of did not run."""

    class Fickle(Cache):
        def load(self, slug: str, index: int | None, *, wanted: bool) -> None:
            del slug, index, wanted

    with Flow("f") as flow:
        task(same, name="stored")(task(same, name="uncached", checkpoint=False)(1))
    report = run(flow, executor, cache=Fickle({("stored", None): 1}))
    assert states(report) == {"uncached": "succeeded", "stored": "failed"}
    assert "what it is given was not kept" in error_of(report.failed[0])["message"]


def handled(cached: Cache) -> list[str]:
    """Run extract → summary (whatever becomes of extract) → report, and say which ran."""
    ran: list[str] = []

    def step(name: str, **rules: Any) -> Any:
        def function(_before: object = None) -> str:
            ran.append(name)
            return name

        return task(function, name=name, **rules)

    with Flow("f") as flow:
        step("report")(step("summary", trigger="all_finished")(step("extract")()))
    assert run(flow, cache=cached).state == "succeeded"
    return ran


def test_what_was_made_of_a_failure_is_made_again_once_that_is_mended() -> None:
    old: dict[Place, Any] = {("summary", None): "0 rows", ("report", None): "0 rows"}
    assert handled(Cache(old)) == ["extract", "summary", "report"]


def test_what_saw_the_same_as_now_is_used() -> None:
    old: dict[Place, Any] = {(name, None): name for name in ("extract", "summary", "report")}
    assert handled(Cache(old)) == []


@pytest.mark.parametrize(
    ("attempts", "ran"), [({"extract": 2}, ["summary", "report"]), ({"extract": 2, "summary": 2}, ["report"])]
)
def test_what_is_older_than_what_it_would_see_now_is_made_again(attempts: dict[str, int], ran: list[str]) -> None:
    old: dict[Place, Any] = {(name, None): name for name in ("extract", "summary", "report")}
    assert handled(Cache(old, attempts=attempts)) == ran


@pytest.mark.usefixtures("soon_stuck")
def test_the_time_that_a_stored_result_takes_to_load_is_not_the_tasks() -> None:
    class Slow(Cache):
        def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[ResultRecord, Any] | None:
            time.sleep(0.8)
            return super().load(slug, index, wanted=wanted)

    with Flow("f") as flow:
        task(same, name="stored", timeout=0.1)(1)
    report = run(flow, cache=Slow({("stored", None): 2}))
    assert report.result("stored") == 2


def test_what_is_required_is_found_out_once_for_each_task() -> None:
    """Layers of tasks that are never cached, each given all of the one before: 3 to the 12th ways lead through them."""
    with Flow("f") as flow:
        layer = [task(same, name="first", checkpoint=False)(1)]
        for _ in range(12):
            layer = [task(len, name="layer", checkpoint=False)([*layer]) for _ in range(3)]
        task(len, name="last")(layer)
    assert run(flow, cache=Cache({("last", None): 3})).state == "succeeded"
