"""How far a flow is, for those who look at it while it runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from runner.engine.units import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.engine.units import Graph, Group, Unit
    from runner.schema.progress import Progress, TaskProgress

MOST_TASKS = 50  # that are listed: a heartbeat is small
_LONGEST_NAME = 128  # characters of a task that it is listed by


class ProgressMeter:
    """Counts how far a graph is. What is done is counted once; it may be asked from any thread, one at a time."""

    def __init__(self, graph: Graph) -> None:
        self._groups = list(graph.groups.values())
        self._done: dict[Group, TaskProgress] = {}

    def read(self) -> Progress:
        """Return how far the tasks are now; where there is no room for all, first of all those that are at work."""
        counted = [(group, self._count(group)) for group in self._groups]
        if len(counted) > MOST_TASKS:
            kept = sorted(counted, key=lambda one: (one[0].done, one[0].order))[:MOST_TASKS]
            counted = sorted(kept, key=lambda one: one[0].order)
        running = [unit for group in self._groups if not group.done for unit in _running(group.units)]
        found: Progress = {
            "tasks": [progress for _, progress in counted],
            "more": len(self._groups) - len(counted),
            "longest": None,
        }
        if longest := min(running, key=lambda unit: unit.started or 0.0, default=None):
            name, since = longest.group.node.slug[:_LONGEST_NAME], iso(longest.started)
            found["longest"] = {"task": name, "index": longest.index, "since": since} if since else None
        return found

    def _count(self, group: Group) -> TaskProgress:
        if known := self._done.get(group):
            return known
        is_done = group.done  # before it is counted: it may be so in a moment
        units = group.units
        states = Counter(unit.state for unit in units if unit.done)
        counted: TaskProgress = {
            "task": group.node.slug[:_LONGEST_NAME],
            "total": len(units) if units or not group.node.mapped else None,
            "running": sum(1 for _ in _running(units)),
            "succeeded": states["succeeded"],
            "failed": states["failed"],
            "skipped": states["skipped"],
        }
        if is_done:
            self._done[group] = counted
        return counted


def _running(units: Iterable[Unit]) -> Iterable[Unit]:
    """Yield those whose function was called and has not come back."""
    return (unit for unit in units if unit.tries > unit.last_finished_try and not unit.done)
