"""``Flow``: tasks and what each waits for, written down in a ``with`` block."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from runner.errors import UsageError
from runner.records import slugify
from runner.task import Node, Parameter, references

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from runner.environments import LocalEnvironment
    from runner.report import Report
    from runner.storage.declared import Declared

__all__ = ["Flow", "Parameter", "current_flow"]

_current: ContextVar[Flow | None] = ContextVar("flow", default=None)


def current_flow() -> Flow | None:
    """Give the flow whose ``with`` block is being run."""
    return _current.get()


class Flow:
    """A graph of tasks under a name.

    Args:
        name: what people call it; its slug is the folder's name in the storage.
        storage: where it is published and where its results go; by default `Local`.
        environment: the image and labels that launchers use.
    """

    def __init__(
        self,
        name: str,
        *,
        storage: Declared | None = None,
        environment: LocalEnvironment | None = None,
    ) -> None:
        """See the class."""
        self.name = name
        self.slug = slugify(name)
        self.nodes: list[Node] = []
        self.parameters: list[Parameter] = []
        self.environment = environment
        self.module = _caller()
        self._members: set[Node] = set()
        self._slugs: set[str] = set()
        self._used: dict[str, int] = {}
        if storage is None:
            from runner.storage.local import Local

            storage = Local()
        self.storage = storage

    @property
    def storage(self) -> Declared:
        """The storage, which knows the flow that it builds."""
        return self._storage

    @storage.setter
    def storage(self, storage: Declared) -> None:
        self._storage = storage.of(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of storage and environment together, sorted."""
        return tuple(sorted({*self.storage.labels, *(self.environment.labels if self.environment else ())}))

    def add(self, node: Node) -> Node:
        """Add a use of a task; what it refers to must belong to this flow. Raises UsageError."""
        for part in {*references((node.args, node.kwargs)), *node.after}:
            if isinstance(part, Parameter):
                self.add_parameter(part)
            elif part not in self._members:
                message = f"task {node.name!r} depends on {part.name!r}, which belongs to another flow"
                raise UsageError(message, hint="Call both inside the same «with Flow(…):».")
        slug = node.slug = slugify(node.name)
        number = self._used.get(slug, 0)  # where to go on counting: 10,000 uses of one task are no 10,000 squared
        while node.slug in self._slugs:
            number += 1
            node.slug = f"{slug}-{number + 1}"
        self._used[slug] = number
        self._slugs.add(node.slug)
        self._members.add(node)
        self.nodes.append(node)
        return node

    def add_parameter(self, parameter: Parameter) -> None:
        """Add a parameter, unless it is here already. Raises UsageError when another one has its name."""
        for mine in self.parameters:
            if mine is parameter:
                return
            if mine.name == parameter.name:
                message = f"flow {self.name!r} has two parameters {parameter.name!r}"
                raise UsageError(message, hint="Use the first one again.")
        self.parameters.append(parameter)

    def with_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Give a value for every parameter."""
        return {parameter.name: given.get(parameter.name, parameter.default) for parameter in self.parameters}

    def run(self, **parameters: Any) -> Report:
        """Run the flow in this process, with the engine that the container uses, and keep the results in memory.

        ``RUNNER_EXECUTOR`` holds here too. Raises EnvironmentWrong for unknown or missing parameters, and FlowFailed
        (its cause is the task's own exception, its ``report`` tells of all tasks) when a task failed.
        """
        from runner.engine import run_here

        return run_here(self, parameters)

    def __enter__(self) -> Self:
        """Begin to write the flow down."""
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        _current.reset(self._token)

    def __getstate__(self) -> dict[str, Any]:
        """Leave storage and environment behind: the manifest says what a run needs of them, and no secret travels."""
        return {"name": self.name, "slug": self.slug, "nodes": self.nodes, "parameters": self.parameters}

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Flow {self.name}>"


def _caller() -> str:
    """Name the module that writes the flow down: the first frame outside runner."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know who calls
    while frame.f_back and str(frame.f_globals.get("__name__", "")).split(".")[0] == __package__:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__"))
