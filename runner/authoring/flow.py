"""``Flow``: what an author holds, a graph with a storage, an environment and a way to run it here."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from runner.errors import FlowFailed, UsageError
from runner.limits import COUNTS_BELOW
from runner.model.flow import FlowGraph
from runner.model.loading import has_loaded, is_loading, is_own_body
from runner.naming import label_of, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from runner.authoring.declaration import StorageDeclaration
    from runner.engine.report import Report
    from runner.environments import LocalEnvironment
    from runner.launchers.base import Launcher
    from runner.launchers.launch import LaunchedRun
    from runner.model.task import Node
    from runner.schema.documents import OnConflict

ON_CONFLICT = ("wait", "skip", "cancel_old")


class Flow(FlowGraph):
    """A graph of tasks under a name, with the place where it is published.

    In the block after ``with Flow(…) as flow:`` calling a task adds it to the flow.

    Args:
        name: what people call it; its slug is the folder's name in the storage.
        storage: where it is published and where its results go; by default ``Local()``.
        environment: the image and labels that launchers use.
        max_runs: how many of its runs agents let work at once; None: any number.
        on_conflict: what an agent does with one too many: it lets it ``"wait"``, ``"skip"`` s it, which cancels it, or
            cancels the oldest one that works, ``"cancel_old"``.

    Raises:
        UsageError: when the name has no letter and no digit, is no text or too long, ``max_runs`` is no number above
            0, or ``on_conflict`` is none of the three, or given without ``max_runs``.

    Example:
        >>> from runner import Flow, Parameter, task
        >>> @task
        ... def double(number):
        ...     return 2 * number
        >>> with Flow("doubling") as flow:
        ...     result = double(Parameter("number", default=1))
        >>> flow.run(number=21).result("double")
        42
    """

    def __init__(
        self,
        name: str,
        *,
        storage: StorageDeclaration | None = None,
        environment: LocalEnvironment | None = None,
        max_runs: int | None = None,
        on_conflict: OnConflict = "wait",
    ) -> None:
        super().__init__(name, environment)
        if on_conflict not in ON_CONFLICT:
            message = f"on_conflict is one of {', '.join(ON_CONFLICT)}, and not {shown(on_conflict)}"
            raise UsageError(message, hint='Write on_conflict="wait".')
        if max_runs is not None:
            if type(max_runs) is not int or not 0 < max_runs < COUNTS_BELOW:
                message = f"max_runs is a whole number above 0 and below 2**63, and not {shown(max_runs)}"
                raise UsageError(message, hint="Write max_runs=1, or leave it out.")
            self.concurrency = {"max_runs": max_runs, "on_conflict": on_conflict}
        elif on_conflict != "wait":
            message = f"on_conflict={on_conflict!r} says what becomes of one run too many, and max_runs is not given"
            raise UsageError(message, hint=f"Write max_runs=1, on_conflict={on_conflict!r}.")
        self._storage = None if storage is None else storage.bound_to(self)

    @classmethod
    def of(cls, graph: FlowGraph) -> Flow:
        """Make a flow of a graph, such as what a bundle holds.

        Args:
            graph: the graph.

        Returns:
            The graph itself, if it is a flow, or one with its tasks and the default storage.
        """
        if isinstance(graph, Flow):
            return graph
        flow = cls(graph.name)
        flow.__dict__ |= graph.__dict__
        return flow

    @property
    def storage(self) -> StorageDeclaration:
        """The storage, which knows the flow that it builds."""
        if self._storage is None:
            from runner.authoring.storages import Local  # which is not imported where the flow runs: nobody asks there

            self._storage = Local().bound_to(self)
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

        ``RUNNER_EXECUTOR`` holds here too.

        Args:
            **parameters: values of the flow's parameters; those that have defaults may be left out.

        Returns:
            A report: ``result("slug")`` is a task's value, ``tasks`` lists what became of each, and ``state`` is
            ``succeeded``. While a flow is being loaded nothing runs, and this is what stands for any value.

        Raises:
            EnvironmentWrong: when parameters are unknown or missing, or a variable of runner's is wrong.
            FlowFailed: when a task failed, or a result could not be stored; its cause is the task's own exception.

        Example:
            >>> from runner import Flow, task
            >>> @task
            ... def greet():
            ...     return "hello"
            >>> with Flow("greeting") as flow:
            ...     greeting = greet()
            >>> report = flow.run()
            >>> report.state, report.result("greet")
            ('succeeded', 'hello')
        """
        if is_own_body():
            from runner.authoring.not_run import NotRun

            return cast("Report", NotRun())
        return run_here(self, parameters)

    def launch(self, launcher: Launcher, **parameters: Any) -> LaunchedRun:
        """Publish the flow, as it is now, and launch it on a platform.

        Args:
            launcher: the platform: ``Docker(network="host")`` of `runner.launchers`.
            **parameters: values of the flow's parameters.

        Returns:
            The run: its ``url``, and ``wait()``, which looks after it until it is over and returns its outcome. While
            a flow is being loaded nothing is launched, and this is what stands for any value.

        Raises:
            EnvironmentWrong: when parameters are unknown, missing or nothing that JSON has, or the platform refuses
                what is asked for.
            UsageError: when the launcher is none.
            Incompatible: when no image is named, and none of runner's has what the flow needs.
        """
        from runner.launchers.launch import check_launch, launch_flow
        from runner.model.parameters import check_parameters, parameters_of

        if is_loading():
            from runner.authoring.not_run import NotRun

            return cast("LaunchedRun", NotRun())
        check_launch(launcher, parameters)
        check_parameters(parameters_of(self), parameters)
        return launch_flow(self.storage.build(), launcher, parameters)

    def submit(self, **parameters: Any) -> str:
        """Publish the flow, as it is now, and have a run of it wait for an agent that has all its labels.

        Args:
            **parameters: values of the flow's parameters.

        Returns:
            The URL of the run's folder, as `runner show` takes it; while a flow is being loaded that of the folder in
            which its bundles lie, and nothing waits.

        Raises:
            EnvironmentWrong: when parameters are unknown, missing or nothing that JSON has.
            RunnerError: what `build` raises.
        """
        from runner.model.parameters import check_parameters, parameters_of

        if is_loading():
            return self.storage.build()
        from runner.agents.submit import submit_flow
        from runner.launchers.launch import check_values

        check_values(parameters)
        check_parameters(parameters_of(self), parameters)
        return submit_flow(self.storage.build(), parameters)


Flow.__module__ = "runner"  # see runner.model.flow.FlowGraph


def run_here(flow: FlowGraph, parameters: Mapping[str, Any]) -> Report:
    """Run a flow in this process and keep its values; see `Flow.run`."""
    from runner.engine.executors import open_executor
    from runner.engine.report import failure
    from runner.engine.scheduler import Engine
    from runner.environ import process_environ, running_tasks
    from runner.model.parameters import check_parameters, parameters_of
    from runner.settings import Settings

    settings = Settings.from_environ(process_environ(), needs_location=False)
    check_parameters(parameters_of(flow), parameters)
    noted: AbstractContextManager[None] = nullcontext()
    if not has_loaded():  # where it is loaded, nobody builds it
        from runner.publishing.before_run import noted_run

        noted = noted_run(flow)
    executor, given = open_executor(settings.executor), flow.with_defaults(parameters)
    with noted, running_tasks():
        report = Engine(flow, given, executor, save=_refuse_unstorable, keep_values=True).run()
    if report.state == "failed":
        raise FlowFailed(failure(report)) from report.error
    return report


def _refuse_unstorable(node: Node, index: int | None, value: Any) -> None:
    """Refuse here, too, what a container could not store. Raises TaskError."""
    from runner.serialization import pickling

    pickling.refuse_unstorable(value, label_of(node.slug, index))
