"""From a flow's nodes to what is scheduled: a `Unit` for a task, or for each element of a mapped one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.errors import TaskError
from runner.model.task import Node, Parameter, filled, references, unmapped
from runner.naming import label_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from runner.model.flow import FlowGraph
    from runner.schema.documents import ResultRecord, TaskErrorRecord, TaskRecord, TaskState


class Value:
    """An argument that is there already: it is passed on as it is, whatever it holds."""

    __slots__ = ("input_value",)

    def __init__(self, input_value: Any) -> None:
        self.input_value = input_value


class Unit:
    """One call of a task's function, tries included.

    Its arguments are as they were written down, with a `Unit` or `Value` for an element of a mapped one.
    """

    def __init__(
        self, group: Group, index: int | None, args: Iterable[Any] = (), kwargs: Mapping[str, Any] = {}
    ) -> None:
        self.group, self.index, self.args, self.kwargs = group, index, args, kwargs
        self.sources: list[Unit | Group] = []  # what it waits for
        self.followers: list[Callable[[], None]] = []  # what waits for it
        self.done = False
        self.state: TaskState = "cancelled"  # until it is done, as it is if the run ends before
        self.failed_upstream = False  # it failed, or was skipped because something before it failed
        self.uses = 0  # units that may still want its value alone, besides those that want all of the group's
        self.value: Any = None
        self.error: BaseException | None = None
        self.error_record: TaskErrorRecord | None = None
        self.result: ResultRecord | None = None
        self.tries = 0
        self.last_finished_try = 0  # whose function came back
        self.last_abandoned_try = 0  # that was not waited for any more while it still ran
        self.limit: Any = None  # what interrupts the try that runs
        self.is_reused = False  # its result is an earlier attempt's
        self.skipped_as_unneeded = False  # all consumers have stored results, and this task stores none
        self.started: float | None = None
        self.ended: float | None = None
        self.cpu = 0.0  # seconds of a processor that its threads have used

    @property
    def label(self) -> str:
        """How logs name it: ``clean`` or ``clean[3]``."""
        return label_of(self.group.node.slug, self.index)

    @property
    def key(self) -> tuple[str, int | None]:
        """How results name it: the task's slug, and the element's index."""
        return self.group.node.slug, self.index

    @property
    def all_units(self) -> list[Unit]:
        """Itself, as a group has all of its units."""
        return [self]

    @property
    def is_wanted(self) -> bool:
        """Whether anything may still want its value."""
        return bool(self.uses or self.group.uses)

    @property
    def input_value(self) -> Any:
        """What tasks after it are given: its value, or the exception that ended it."""
        return self.value if self.state == "succeeded" else self.error

    def release(self) -> None:
        """Note that one unit less wants its value."""
        self.uses -= 1
        self.drop_unwanted()

    def drop_unwanted(self) -> None:
        """Let go of the value, and of the exception that stands for it, if nothing can want it any more."""
        if not self.is_wanted:
            self.value = self.error = None

    def record(self) -> TaskRecord:
        """Return it as an outcome's ``tasks`` has it."""
        node = self.group.node
        return {
            "task": node.slug,
            "name": node.name,
            "index": self.index,
            "mapped": node.mapped,
            "state": self.state,
            "tries": self.tries,
            "started": iso(self.started),
            "ended": iso(self.ended),
            "error": self.error_record,
            "result": self.result,
            "cpu": round(self.cpu, 3),
        }


class Group:
    """All units of one node; ``order`` is the node's place in the flow."""

    def __init__(self, node: Node, order: int) -> None:
        self.node, self.order = node, order
        self.units: list[Unit] = []
        self.when_expanded: list[Callable[[], None]] = []  # what waits until it is known how many units there are
        self.followers: list[Callable[[], None]] = []
        self.elements: list[Unit] | None = None  # its units, once it is mapped
        self.wants: list[Group] = []  # whose values its units are given, all of them to each
        self.uses = 0  # groups that want its values in this way
        self.depth = 0  # groups on the longest way to it
        self.open = 0  # units that are not done
        self.done = False
        self.state = "waiting"
        self.failed_upstream = False
        self.input_value: Any = None  # what tasks after it are given, if they want all of it

    @property
    def unmappable(self) -> bool:
        """Whether there is nothing to map over: it did not succeed, or could not be mapped itself."""
        return self.elements is None and self.state != "succeeded"

    @property
    def all_units(self) -> list[Unit]:
        """All of its units."""
        return self.units

    @property
    def skipped_as_unneeded(self) -> bool:
        """Whether any of its units was skipped so."""
        return any(unit.skipped_as_unneeded for unit in self.units)

    def finish(self) -> None:
        """Sum its units up, now that all are done."""
        states = {unit.state for unit in self.units}
        self.done = True
        self.state = next((state for state in ("failed", "skipped") if state in states), "succeeded")
        self.failed_upstream = any(unit.failed_upstream for unit in self.units)
        if self.uses:
            values = [unit.input_value for unit in self.elements or self.units]
            self.input_value = values if self.elements else values[0]
        for source in self.wants:
            source.release()

    def release(self) -> None:
        """Note that one group less wants its values."""
        self.uses -= 1
        if not self.uses:
            self.input_value = None
            for unit in self.units:
                unit.drop_unwanted()


class Graph:
    """A flow's groups and the values of its parameters."""

    def __init__(self, flow: FlowGraph, parameters: Mapping[str, Any], *, keep_values: bool) -> None:
        """Make a group of every node; keep all values, or let each go when nothing can want it any more."""
        self.parameters = parameters
        self.groups: dict[Node, Group] = {}
        for order, node in enumerate(flow.nodes):
            group = self.groups[node] = Group(node, order)
            group.wants = [self.groups[source] for source in node.inputs]
            group.uses = int(keep_values)
            for source in group.wants:
                source.uses += 1
            group.depth = 1 + max((self.groups[source].depth for source in node.upstream), default=0)

    def after_failures(self) -> set[Node]:
        """Return the nodes that run also where something before them failed, and all after them."""
        found: set[Node] = set()
        for node in self.groups:  # what is waited for comes first
            if node.task.trigger != "all_successful" or found & set(node.upstream):
                found.add(node)
        return found

    def consumers(self, node: Node) -> list[Node]:
        """Return the nodes that wait for one."""
        return [other for other in self.groups if node in other.upstream]

    def maps_each(self, consumer: Node, node: Node) -> bool:
        """Return whether each element of a mapped node is given one of another's, and none is given all of them."""
        parts = [value for value in _values(consumer) if value is not node]
        return node in _values(consumer) and node not in consumer.after and node not in set(references(parts))

    def sources_of_map(self, group: Group) -> list[Group]:
        """Return the groups that must be expanded, or done if they are not mapped, before it can be expanded."""
        return [self.groups[value] for value in _values(group.node) if isinstance(value, Node)]

    def whole(self, group: Group) -> Unit:
        """Return the one unit of a node that is not mapped, or is mapped over nothing."""
        unit = Unit(group, None, group.node.args, group.node.kwargs)
        unit.sources = [self.groups[source] for source in group.node.upstream]
        return unit

    def elements(self, group: Group) -> list[Unit]:
        """Return a mapped node's units. Raises TaskError when it cannot be mapped."""
        node = group.node
        columns = [self._column(value) for value in node.args]
        named = {name: self._column(value) for name, value in node.kwargs.items()}
        lengths = {len(column) for column in (*columns, *named.values()) if isinstance(column, list)}
        if len(lengths) > 1:
            message = f"mapped over arguments of different lengths: {', '.join(map(str, sorted(lengths)))}"
            raise TaskError(message)
        after = [self.groups[source] for source in node.after]
        units = []
        for index in range(lengths.pop()):
            args = [column[index] if isinstance(column, list) else column for column in columns]
            kwargs = {name: column[index] if isinstance(column, list) else column for name, column in named.items()}
            unit = Unit(group, index, args, kwargs)
            unit.sources = list(dict.fromkeys((*self._sources((*args, *kwargs.values())), *after)))
            units.append(unit)
        self._want_elements_alone(group, units)
        return units

    def _column(self, value: Any) -> Any:
        """Return a list with the elements of a mapped argument, or what stands for an unmapped one."""
        if isinstance(value, unmapped):
            return _part(value.value)
        part: Callable[[Any], Any] = _part
        if isinstance(value, Node):
            group = self.groups[value]
            if group.elements is not None:
                return group.elements
            value, part = group.input_value, Value
        elif isinstance(value, Parameter):
            value, part = self.parameters[value.name], Value
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            message = f"cannot be mapped over a value of type {type(value).__name__}; give a list"
            raise TaskError(message)
        try:
            return [part(element) for element in value]
        except Exception as error:
            message = f"cannot be mapped over a value of type {type(value).__name__}: {error}"
            raise TaskError(message) from error

    def _sources(self, parts: Iterable[Any]) -> Iterator[Unit | Group]:
        for part in parts:
            if isinstance(part, Unit):
                yield part
            elif not isinstance(part, Value):
                yield from (self.groups[node] for node in references(part) if isinstance(node, Node))

    def _want_elements_alone(self, group: Group, units: list[Unit]) -> None:
        """Let each unit hold on to the elements that it is given, and no longer the whole group to all of them."""
        parts = [value for value in _values(group.node) if not isinstance(value, Node)]
        whole = {self.groups[node] for node in references(parts) if isinstance(node, Node)}
        for unit in units:
            for source in unit.sources:
                if isinstance(source, Unit):
                    source.uses += 1
        freed = [source for source in group.wants if source.elements is not None and source not in whole]
        group.wants = [source for source in group.wants if source not in freed]
        for source in freed:
            source.release()

    def arguments(self, unit: Unit) -> tuple[list[Any], dict[str, Any]]:
        """Return what the function is called with, now that everything before it is done."""

        def given(part: Node | Parameter) -> Any:
            return self.parameters[part.name] if isinstance(part, Parameter) else self.groups[part].input_value

        def value(part: Any) -> Any:
            return part.input_value if isinstance(part, Unit | Value) else filled(part, given)

        return [value(part) for part in unit.args], {name: value(part) for name, part in unit.kwargs.items()}


def _values(node: Node) -> list[Any]:
    return [*node.args, *node.kwargs.values()]


def _part(value: Any) -> Any:
    """Return an argument as written down or, if it refers to no task, as a `Value`, which is not searched again."""
    return value if next(references(value), None) is not None else Value(value)


def iso(moment: float | None) -> str | None:
    """Return a moment as it is stored."""
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
