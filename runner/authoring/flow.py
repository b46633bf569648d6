"""``Flow``: what an author holds, a graph with a storage, an environment and a way to run it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.engine.report import failure
from runner.errors import FlowFailed
from runner.model.flow import FlowGraph

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.authoring.storages import StorageDeclaration
    from runner.engine.report import Report
    from runner.environments import LocalEnvironment


class Flow(FlowGraph):
    """A graph of tasks under a name, with the place where it is published.

    Args:
        name: what people call it; its slug is the folder's name in the storage.
        storage: where it is published and where its results go; by default `Local`.
        environment: the image and labels that launchers use.
    """

    __module__ = "runner"  # see FlowGraph

    def __init__(
        self,
        name: str,
        *,
        storage: StorageDeclaration | None = None,
        environment: LocalEnvironment | None = None,
    ) -> None:
        super().__init__(name, environment)
        if storage is None:
            from runner.authoring.storages import Local

            storage = Local()
        self.storage = storage

    @classmethod
    def of(cls, graph: FlowGraph) -> Flow:
        """Return the flow that a graph is or, with the default storage, can be published as."""
        if isinstance(graph, Flow):
            return graph
        flow = cls(graph.name)
        flow.__dict__ |= graph.__dict__
        return flow

    @property
    def storage(self) -> StorageDeclaration:
        """The storage, which knows the flow that it builds."""
        return self._storage

    @storage.setter
    def storage(self, storage: StorageDeclaration) -> None:
        self._storage = storage.bound_to(self)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of storage and environment together, sorted."""
        return self.storage.destination().labels

    def run(self, **parameters: Any) -> Report:
        """Run the flow in this process, with the engine that the container uses, and keep the results in memory.

        ``RUNNER_EXECUTOR`` holds here too. Raises EnvironmentWrong for unknown or missing parameters, and FlowFailed
        (its cause is the task's own exception, its ``report`` tells of all tasks) when a task failed.
        """
        return run_here(self, parameters)


def run_here(flow: FlowGraph, parameters: Mapping[str, Any]) -> Report:
    """Run a flow in this process and keep its values; see `Flow.run`."""
    from runner.engine.executors import open_executor
    from runner.engine.scheduler import Engine
    from runner.environ import process_environ
    from runner.model.parameters import check_parameters, parameters_of
    from runner.settings import Settings

    settings = Settings.from_environ(process_environ(), needs_location=False)
    check_parameters(parameters_of(flow), parameters)
    report = Engine(flow, flow.with_defaults(parameters), open_executor(settings.executor), keep_values=True).run()
    if report.state == "failed":
        raise FlowFailed(failure(report)) from report.error
    return report
