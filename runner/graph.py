"""From a flow's nodes to what is scheduled: a `Unit` for a task, or for each element of a mapped one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.task import Node, Parameter, filled, references, unmapped
from runner.trace import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runner.flow import Flow


class Unit:
    """One call of a task's function, tries included."""

    def __init__(
        self, group: Group, index: int | None, args: Iterable[Any] = (), kwargs: Mapping[str, Any] = {}
    ) -> None:
        """Take the arguments as they were written down; `Unit`s in them stand for an element's value."""
        self.group, self.index, self.args, self.kwargs = group, index, args, kwargs
        self.sources: list[Unit | Group] = []  # what it waits for
        self.followers: list[Callable[[], None]] = []  # what waits for it
        self.done = False
        self.state = "waiting"  # then succeeded, failed or skipped
        self.broken = False  # it failed, or was skipped because something before it failed
        self.value: Any = None
        self.error: BaseException | None = None
        self.told: dict[str, Any] | None = None
        self.result: dict[str, Any] | None = None
        self.tries = 0
        self.returned = 0  # the last try whose function came back
        self.abandoned = 0  # the last try that was given up on while it still ran
        self.started: float | None = None
        self.ended: float | None = None

    @property
    def label(self) -> str:
        """How logs name it: ``clean`` or ``clean[3]``."""
        slug = self.group.node.slug
        return slug if self.index is None else f"{slug}[{self.index}]"

    @property
    def handed(self) -> Any:  # noqa: ANN401
        """What tasks after it are given: its value, or the exception that ended it."""
        return self.value if self.state == "succeeded" else self.error

    def record(self) -> dict[str, Any]:
        """Describe it as an outcome's ``tasks`` has it."""
        node = self.group.node
        return {
            "task": node.slug,
            "name": node.name,
            "index": self.index,
            "mapped": node.mapped,
            "state": self.state,
            "tries": self.tries,
            "started": _iso(self.started),
            "ended": _iso(self.ended),
            "error": self.told,
            "result": self.result,
        }


class Group:
    """All units of one node."""

    def __init__(self, node: Node, order: int) -> None:
        """Take the node and its place in the flow."""
        self.node, self.order = node, order
        self.units: list[Unit] = []
        self.when_expanded: list[Callable[[], None]] = []  # what waits until it is known how many units there are
        self.followers: list[Callable[[], None]] = []
        self.open = 0  # units that are not done
        self.uses = 0  # nodes that may still want the values
        self.done = False
        self.state = "waiting"
        self.broken = False
        self.handed: Any = None

    @property
    def by_element(self) -> bool:
        """Whether the units are elements: a mapped node that could be mapped."""
        return self.node.mapped and not (self.units and self.units[0].index is None)

    def finish(self) -> None:
        """Sum its units up, now that all are done."""
        states = {unit.state for unit in self.units}
        self.done = True
        self.state = next((state for state in ("failed", "skipped") if state in states), "succeeded")
        self.broken = any(unit.broken for unit in self.units)
        self.handed = [unit.handed for unit in self.units] if self.by_element else self.units[0].handed

    def drop(self) -> None:
        """Let go of the values: nothing can want them any more."""
        self.handed = None
        for unit in self.units:
            unit.value = None

    def records(self) -> list[dict[str, Any]]:
        """Describe its units; one that was mapped over nothing has succeeded, with no element."""
        if not self.units:
            empty = Unit(self, None)
            empty.state = "succeeded"
            return [empty.record()]
        return [unit.record() for unit in self.units]


class Graph:
    """A flow's groups and the values of its parameters."""

    def __init__(self, flow: Flow, parameters: Mapping[str, Any]) -> None:
        """Make a group of every node."""
        self.parameters = parameters
        self.groups = {node: Group(node, order) for order, node in enumerate(flow.nodes)}
        for node in flow.nodes:
            for upstream in node.upstream:
                self.groups[upstream].uses += 1

    def sources_of_map(self, node: Node) -> list[Group]:
        """Give the groups that must be expanded, or done if they are not mapped, before the node can be expanded."""
        values = (*node.args, *node.kwargs.values())
        return [self.groups[value] for value in values if isinstance(value, Node)]

    def whole(self, group: Group) -> list[Unit]:
        """Give the one unit of a node that is not mapped."""
        unit = Unit(group, None, group.node.args, group.node.kwargs)
        unit.sources = [self.groups[upstream] for upstream in group.node.upstream]
        return [unit]

    def elements(self, group: Group) -> list[Unit]:
        """Give a mapped node's units. Raises TaskError when it cannot be mapped."""
        node = group.node
        columns = [self._column(value) for value in node.args]
        named = {name: self._column(value) for name, value in node.kwargs.items()}
        lengths = {len(column) for column in (*columns, *named.values()) if column is not None}
        if len(lengths) > 1:
            message = f"mapped over arguments of different lengths: {', '.join(map(str, sorted(lengths)))}"
            raise TaskError(message)
        units = []
        for index in range(lengths.pop()):
            args = [
                value if column is None else column[index] for value, column in zip(node.args, columns, strict=True)
            ]
            kwargs = {
                name: value if (column := named[name]) is None else column[index] for name, value in node.kwargs.items()
            }
            unit = Unit(group, index, args, kwargs)
            parts = [*args, *kwargs.values()]
            nodes = dict.fromkeys(part for part in references(parts) if isinstance(part, Node))
            groups = [self.groups[node] for node in (*nodes, *node.after)]
            unit.sources = [*(part for part in parts if isinstance(part, Unit)), *groups]
            units.append(unit)
        return units

    def _column(self, value: Any) -> list[Any] | None:  # noqa: ANN401
        """Give the elements of a mapped argument: values, units, or structures that hold nodes; None if unmapped."""
        if isinstance(value, unmapped):
            return None
        if isinstance(value, Node):
            group = self.groups[value]
            if group.by_element:
                return list(group.units)
            if group.state != "succeeded":
                message = f"{value.slug} gave nothing to map over"
                raise TaskError(message)
            value = group.handed
        elif isinstance(value, Parameter):
            value = self.parameters[value.name]
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            message = f"cannot be mapped over a value of type {type(value).__name__}; give a list"
            raise TaskError(message)
        return list(value)

    def arguments(self, unit: Unit) -> tuple[list[Any], dict[str, Any]]:
        """Give what the function is called with, now that everything before it is done."""

        def given(part: Node | Parameter) -> Any:  # noqa: ANN401
            return self.parameters[part.name] if isinstance(part, Parameter) else self.groups[part].handed

        def value(part: Any) -> Any:  # noqa: ANN401
            return part.handed if isinstance(part, Unit) else filled(part, given)

        return [value(part) for part in unit.args], {name: value(part) for name, part in unit.kwargs.items()}


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
