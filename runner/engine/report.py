"""How a flow went, and why it failed, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.naming import slug_meant

if TYPE_CHECKING:
    from runner.schema.documents import TaskRecord


@dataclass
class Report:
    """How a flow went.

    ``state`` is ``succeeded``, ``failed`` or ``cancelled``; ``tasks`` are in the order in which they were written down.
    ``error`` is the own exception of the first of them that failed; ``values`` are those of the tasks by slug, if they
    are wanted.
    """

    state: str
    tasks: list[TaskRecord]
    error: BaseException | None = None
    values: dict[str, Any] = field(default_factory=dict, repr=False)

    def result(self, slug: str) -> Any:
        """Return a task's value (of a mapped one, the list), held by the report of ``flow.run()``.

        The only task of a name is also found by that. Raises KeyError, which names those that there are.
        """
        slug = slug_meant(slug, {task["task"]: task["name"] for task in self.tasks})
        if slug not in self.values:
            message = f"there is no result {slug!r}; there are: {', '.join(self.values) or 'none'}"
            raise KeyError(message)
        return self.values[slug]

    @property
    def failed(self) -> list[TaskRecord]:
        """The tasks that failed."""
        return [task for task in self.tasks if task["state"] == "failed"]


Report.__module__ = "runner"  # see runner.model.flow.FlowGraph


def failure(report: Report) -> str:
    """Return in one sentence why a flow failed."""
    first, *others = report.failed
    more = f" (and {len(others)} more failed)" if others else ""
    name = first["task"] if first["index"] is None else f"{first['task']}[{first['index']}]"
    error = first["error"]
    reason = f": {error['type']}: {error['message']}" if error else ""
    return f"task {name} failed{reason}{more}"
