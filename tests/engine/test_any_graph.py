"""Any graph at all comes to what a plain reading of the rules gives."""

from __future__ import annotations

import logging
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task, unmapped
from runner.engine.executors import Sequential, Threads
from support.engine_runs import Boom, run

if TYPE_CHECKING:
    from runner.model.task import Node, Trigger


class Expected:
    """What a unit or a node comes to, by the plain reading of the rules."""

    def __init__(self, state: str, value: Any = None, *, failed_upstream: bool = False) -> None:
        self.state, self.value, self.failed_upstream = state, value, failed_upstream

    @property
    def input_value(self) -> Any:
        return self.value if self.state == "succeeded" else "error"


def work(fails: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001
    """Fail, or give what tells the arguments apart and is sometimes a list."""
    if fails:
        raise Boom
    text = repr((plain(args), plain(kwargs)))
    number = sum(map(ord, text))
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
        failed_upstream = any(source.failed_upstream for source in sources)
        trigger = node.task.trigger
        if trigger == "all_successful" and any(source.state != "succeeded" for source in sources):
            return Expected("skipped", failed_upstream=failed_upstream)
        if trigger == "any_failed" and not failed_upstream:
            return Expected("skipped")
        try:
            return Expected("succeeded", work(*(self.value(arg) for arg in args)))
        except Boom:
            return Expected("failed", failed_upstream=True)

    def value(self, arg: Any) -> Any:
        if isinstance(arg, Expected):
            return arg.input_value
        if isinstance(arg, unmapped):
            return self.value(arg.value)
        if isinstance(arg, list):
            return [self.value(each) for each in arg]
        return self.nodes[arg].input_value if arg in self.nodes else arg

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
            return Expected("skipped", failed_upstream=any(source.failed_upstream for source in lacking))
        columns = [column.value if isinstance(column, Expected) else column for column in columns]
        if any(isinstance(column, int) for column in columns):
            return Expected("failed", failed_upstream=True)
        lengths = {len(column) for column in columns if isinstance(column, list)}
        if len(lengths) > 1:
            return Expected("failed", failed_upstream=True)
        units = []
        for index in range(lengths.pop()):
            args = [column[index] if isinstance(column, list) else column for column in columns]
            own = tuple(arg for arg in args if isinstance(arg, Expected))
            nodes = [each for each in self.nodes if any(holds(arg, each) for arg in args)]
            units.append(self.one(node, args, [*nodes, *node.after], own))
        self.elements[node] = units
        if not units:
            whole = self.one(node, (False,), node.upstream)
            return Expected(whole.state, [], failed_upstream=whole.failed_upstream)
        state = next((each for each in ("failed", "skipped") if each in {unit.state for unit in units}), "succeeded")
        whole = Expected(
            state, [unit.input_value for unit in units], failed_upstream=any(unit.failed_upstream for unit in units)
        )
        return MappedWhole(whole)


class MappedWhole(Expected):
    """A mapped node: it hands its list over whatever became of its elements."""

    def __init__(self, whole: Expected) -> None:
        super().__init__(whole.state, whole.value, failed_upstream=whole.failed_upstream)

    @property
    def input_value(self) -> Any:
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
            keep_values = seed % 2 == 0
            executor = Sequential() if seed % 5 == 0 else Threads(1 + seed % 4)
            report = run(flow, executor, keep_values=keep_values)
            assert {(each["task"], each["index"]): each["state"] for each in report.tasks} == expected, seed
            if keep_values:
                values = {node.slug: plain(report.result(node.slug)) for node in flow.nodes}
                assert values == {node.slug: plain(model.nodes[node].input_value) for node in flow.nodes}, seed
    finally:
        sys.setswitchinterval(before)
        logging.disable(logging.NOTSET)
