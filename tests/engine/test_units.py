"""Mapping, and how long a value is held in memory."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task, unmapped
from runner.engine.executors import Sequential, Threads
from runner.engine.report import failure
from runner.errors import TaskError
from support.engine_runs import PATIENCE_SECONDS, Boom, boom, error_of, run, same, states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.engine.executors import Executor


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
    report = run(flow, executor, keep_values=True)
    assert report.result("pair") == [(5, {"all": [1, 2]}), (6, {"all": [1, 2]})]
    assert report.result("both") == [(1, [1, 2]), (2, [1, 2])]
    assert states(run(flow, keep_values=False))["both[1]"] == "succeeded"


def test_an_unmapped_argument_of_a_plain_call_is_the_argument(executor: Executor) -> None:
    give = task(same, name="give")
    with Flow("f") as flow:
        give(unmapped(give(1)))
    assert run(flow, executor).result("give-2") == 1


def test_what_is_mapped_over_is_passed_on_untouched(executor: Executor) -> None:
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


@pytest.mark.parametrize("keep_values", [True, False])
def test_mapped_over_nothing_there_is_no_element_and_all_goes_on(executor: Executor, keep_values: bool) -> None:  # noqa: FBT001
    give = task(same, name="give")
    seen: list[Any] = []
    with Flow("f") as flow:
        task(seen.append, name="all")(give.map(give.map(give([]))))
    report = run(flow, executor, keep_values=keep_values)
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
    assert [error_of(each)["message"] for each in report.failed] == [message]
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
        assert index == 0 or followed.wait(PATIENCE_SECONDS)  # the last one ends only after b[0] has run
        return index

    with Flow("f") as flow:
        task(lambda _: followed.set(), name="b").map(task(first).map([0, 1]))
    assert run(flow, Threads(2)).state == "succeeded"


class Big:
    """A value that can be watched."""

    def __reduce__(self) -> Any:
        raise AssertionError


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
    assert run(flow, executor, keep_values=False).state == "succeeded"
    assert seen == [["second"], ["second"]]
    assert watch.left() == []


def test_an_element_is_dropped_when_its_own_followers_are_done() -> None:
    watch, seen = Watch(), []
    look = task(lambda _: seen.append(watch.left()), name="look")
    with Flow("f") as flow:
        look.map(task(watch.make, name="make").map(list(range(4))))
    assert run(flow, Sequential(), keep_values=False).state == "succeeded"
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
    assert run(flow, Sequential(), keep_values=False).state == "succeeded"
    assert seen == [[]] * 4


def test_elements_of_a_list_are_dropped_with_their_followers() -> None:
    watch, seen = Watch(), []
    with Flow("f") as flow:
        parts = task(lambda: [watch.make(n) for n in range(3)], name="parts")()
        mapped = task(lambda _: None, name="use").map(parts)
        task(lambda: seen.append(watch.left()), name="look")(upstream_tasks=[mapped])
    assert run(flow, Sequential(), keep_values=False).state == "succeeded"
    assert seen == [[]]


def test_flow_run_keeps_values() -> None:
    watch = Watch()
    with Flow("f") as flow:
        made = task(watch.make, name="make", checkpoint=False)("first")
        task(same, name="give", checkpoint=False)(made)
    report = flow.run()
    assert watch.left() == ["first"]
    assert isinstance(report.result("make"), Big)
