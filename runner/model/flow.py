"""``FlowGraph``: tasks and what each waits for, written down in a ``with`` block; what runs of a flow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from runner.errors import UsageError
from runner.model.loading import note_made
from runner.model.task import Node, Parameter, open_graph, references
from runner.naming import check_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet
    from types import FrameType, TracebackType

    from runner.environments import LocalEnvironment
    from runner.schema.documents import ConcurrencyRecord


class FlowGraph:
    """A graph of tasks under a name.

    Args:
        name: what people call it; its slug is the folder's name in the storage.
        environment: the image and labels that launchers use; the manifest has them, the pickle does not.

    Raises:
        UsageError: when the name has no letter and no digit, is no text, or is too long.
    """

    concurrency: ConcurrencyRecord | None = None  # how many runs work at once; the manifest has it, the pickle has not
    varying: AbstractSet[str] = frozenset()  # slugs of tasks whose arguments are not those that the flow was built with

    def __init__(self, name: str, environment: LocalEnvironment | None = None) -> None:
        self.name = name
        self.environment = environment
        self.slug = check_name("flow", name)
        self.nodes: list[Node] = []
        self.parameters: list[Parameter] = []
        caller = _caller()
        self.module = str(caller.f_globals.get("__name__", "__main__"))
        self.made_at = _line_of_body(caller)
        self._members: set[Node] = set()
        self._slugs: set[str] = set()
        self._used: dict[str, int] = {}
        note_made(self)

    def add(self, node: Node) -> Node:
        """Add a use of a task; calling the task in the flow's block does so.

        Args:
            node: the use; what it refers to must belong to this flow.

        Returns:
            It, with a slug of its own.

        Raises:
            UsageError: when it depends on a task of another flow, or its task's name is none, or too long.
        """
        for part in {*references((node.args, node.kwargs)), *node.after}:
            if isinstance(part, Parameter):
                self.add_parameter(part)
            elif part not in self._members:
                message = f"task {node.name!r} depends on {part.name!r}, which belongs to another flow"
                raise UsageError(message, hint="Call both inside the same «with Flow(…):».")
        slug = node.slug = check_name("task", node.name)
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
        """Add a parameter, unless it is here already.

        Args:
            parameter: the parameter.

        Raises:
            UsageError: when another one has its name.
        """
        for mine in self.parameters:
            if mine is parameter:
                return
            if mine.name == parameter.name:
                message = f"flow {self.name!r} has two parameters {parameter.name!r}"
                raise UsageError(message, hint="Use the first one again.")
        self.parameters.append(parameter)

    def with_defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Complete parameters by their defaults.

        Args:
            given: values by name.

        Returns:
            A value for every parameter of the flow.
        """
        return {parameter.name: given.get(parameter.name, parameter.default) for parameter in self.parameters}

    def __enter__(self) -> Self:
        """Let calls of tasks add to this flow."""
        self._token = open_graph.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let calls of tasks call their functions again, or add to the flow around this one."""
        open_graph.reset(self._token)

    def __getstate__(self) -> dict[str, Any]:
        """Leave storage and environment behind: the manifest says what a run needs of them, and no secret travels."""
        return {"name": self.name, "slug": self.slug, "nodes": self.nodes, "parameters": self.parameters}

    def __repr__(self) -> str:
        """Show the name."""
        return f"<{type(self).__name__} {self.name}>"


# Pickles name it so, wherever it is defined: docs/formats.md. In the class's body this line would leave behind the line
# number of the class, by which inspect shows another file's: https://github.com/python/cpython/pull/123613
FlowGraph.__module__ = "runner"


def _caller() -> FrameType:
    """Return the frame that writes the flow down: the first outside runner."""
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know who calls
    while frame.f_back and str(frame.f_globals.get("__name__", "")).split(".")[0] == "runner":
        frame = frame.f_back
    return frame


def _line_of_body(caller: FrameType) -> int | None:
    """Return the line of the body of a module in which a frame of it is, or is called; None if that is not executed."""
    frame: FrameType | None = caller
    while frame and not (frame.f_code.co_name == "<module>" and frame.f_globals is caller.f_globals):
        frame = frame.f_back
    return frame.f_lineno if frame else None
