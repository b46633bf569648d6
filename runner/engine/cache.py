"""Results that earlier attempts stored: which tasks need not run because of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from runner.engine.units import Graph, Unit
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord


class ResultCache(Protocol):
    """Results of earlier attempts, by a task's slug and the element's index."""

    def has(self, slug: str, index: int | None) -> bool:
        """Return whether there is one."""

    def is_whole(self, slug: str, index: int | None) -> bool:
        """Return whether there is one, and it is what was once stored."""

    def version(self, slug: str, index: int | None) -> tuple[int, int]:
        """Return when it was made: what was made later compares as greater."""

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[ResultRecord, Any] | None:
        """Return its record and, if that is wanted, the value; None if it cannot be used after all."""


class CachePolicy:
    """Decides which tasks run although there is a cache, and which stored results are used."""

    def __init__(self, graph: Graph, cache: ResultCache) -> None:
        self._graph, self._cache = graph, cache
        # those that may have seen a failure: a result of theirs is used only if they would see the same again
        self._reruns_on_change = graph.after_failures()
        self._required: dict[tuple[Node, int | None], bool] = {}

    def is_required(self, node: Node, index: int | None) -> bool:
        """Return whether a task must run, or its stored result be loaded.

        One whose result is never stored need not run when all that consumes it has a stored result. Without consumers
        it must: nobody knows whether it ran before.
        """
        if node.task.checkpoint:
            return True
        if (node, index) not in self._required:
            consumers = self._graph.consumers(node)
            required = not consumers or any(self._requires(consumer, node, index) for consumer in consumers)
            self._required[node, index] = required
        return self._required[node, index]

    def _requires(self, consumer: Node, node: Node, index: int | None) -> bool:
        """Return whether a consumer may want the value of a task whose result is never stored."""
        if consumer in self._reruns_on_change:
            return True
        if consumer.mapped and (index is None or not self._graph.maps_each(consumer, node)):
            return True  # how many elements there are is only known from the value
        own = index if consumer.mapped else None
        if consumer.task.checkpoint:
            return not self._cache.is_whole(consumer.slug, own)
        return self.is_required(consumer, own)

    def load(self, unit: Unit) -> tuple[ResultRecord, Any] | None:
        """Return a unit's stored result, or None if an upstream failure that it reacted to no longer happened."""
        if not self._cache.has(*unit.key):
            return None
        node = unit.group.node
        if node in self._reruns_on_change:
            sees_failures = node.task.trigger != "all_successful"
            version = self._cache.version(*unit.key)
            upstream = [each for source in unit.sources for each in source.all_units]
            relevant = [each for each in upstream if sees_failures or each.group.node in self._reruns_on_change]
            if not all(each.is_reused and self._cache.version(*each.key) <= version for each in relevant):
                return None
        return self._cache.load(*unit.key, wanted=unit.is_wanted)
