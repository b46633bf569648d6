"""``@task``: a function with rules for running it, and its uses in a flow."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, overload

from runner.errors import UsageError
from runner.naming import check_text, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta  # which costs whoever imports runner 1 ms

Trigger = Literal["all_successful", "all_finished", "any_failed"]


class Graph(Protocol):
    """What a task needs of the flow that it is used in."""

    def add(self, node: Node) -> Node:
        """Add a use of a task."""

    def add_parameter(self, parameter: Parameter) -> None:
        """Add a parameter, unless it is there already."""


open_graph: ContextVar[Graph | None] = ContextVar("graph", default=None)  # whose ``with`` block is being run


class Task:
    """A function and how to run it; made by `task`.

    Called inside ``with Flow(…)`` it becomes part of that flow; anywhere else it is the plain function, so that a task
    can be tested like one.

    Args:
        function: what is called; coroutine functions are awaited.
        name: by default the function's.
        retries: how often it is tried again after a failure.
        retry_delay: seconds before each retry, or a ``timedelta``.
        timeout: seconds for each try, or a ``timedelta``; by default there is no limit.
        checkpoint: whether its result is stored.
        trigger: when it runs; see `task`.

    Raises:
        UsageError: when the function cannot be called, or one of the rules is none.

    Example:
        >>> from runner import Task
        >>> double = Task(lambda number: 2 * number, name="double", retries=3)
        >>> double, double(21)
        (<Task double>, 42)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        retries: int = 0,
        retry_delay: float | timedelta = 0,
        timeout: float | timedelta | None = None,
        checkpoint: bool = True,
        trigger: Trigger = "all_successful",
    ) -> None:
        if not callable(function):
            message = f"a task is made of something that can be called, not of {function!r}"
            raise UsageError(message)
        self.function = function
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.retries = retries
        self.retry_delay = self._seconds("retry_delay", retry_delay)
        self.timeout = None if timeout is None else self._seconds("timeout", timeout)
        self.checkpoint = checkpoint
        self.trigger = trigger
        self.__doc__ = getattr(function, "__doc__", None)
        self.__wrapped__ = function
        wrong = ""
        if trigger not in get_args(Trigger):
            wrong = f"trigger {trigger!r}: choose one of {', '.join(get_args(Trigger))}"
        elif not isinstance(retries, int) or retries < 0:
            wrong = "retries must be a whole number, 0 or more"
        elif self.timeout == 0:
            wrong = "timeout must be more than 0 seconds"
        if wrong:
            message = f"task {self.name!r}: {wrong}"
            raise UsageError(message)

    def _seconds(self, what: str, value: float | timedelta) -> float:
        try:
            seconds = value.total_seconds() if hasattr(value, "total_seconds") else float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            message = f"task {self.name!r}: {what} takes seconds, 0 or more, not {shown(value)}"
            raise UsageError(message)
        return seconds

    def __call__(self, *args: Any, upstream_tasks: Sequence[Node] = (), **kwargs: Any) -> Any:
        """Use the task in the flow that is being written; without one, call the function.

        Args:
            *args: values, parameters, and what calling other tasks returned, also inside lists and dicts.
            upstream_tasks: what calling tasks returned that this one waits for, besides its arguments.
            **kwargs: as ``args``.

        Returns:
            In a flow, what stands for the result in calls of other tasks; without one, what the function returns.

        Raises:
            UsageError: when the function would refuse such a call.
        """
        flow = open_graph.get()
        if flow is None:
            return self.function(*args, **kwargs)
        self._check_call(args, kwargs)
        return flow.add(Node(self, args, kwargs, upstream_tasks, mapped=False))

    def _check_call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse a call that the function would refuse, now and not when the flow runs."""
        from inspect import signature

        try:
            called = signature(self.function)
        except (TypeError, ValueError):  # a builtin without a signature
            return
        try:
            called.bind(*args, **kwargs)
        except TypeError as error:
            message = f"task {self.name!r} cannot be called so: {error}"
            raise UsageError(message) from None

    def map(self, *args: Any, upstream_tasks: Sequence[Node] = (), **kwargs: Any) -> Node:
        """Use the task once for each element of its arguments.

        Args:
            *args: lists, or tasks and parameters whose values will be lists, all of one length; `unmapped` ones go to
                every element as they are.
            upstream_tasks: what calling tasks returned that this one waits for, besides its arguments.
            **kwargs: as ``args``.

        Returns:
            What stands for the list of results in calls of other tasks.

        Raises:
            UsageError: outside ``with Flow(…)``, when there is nothing to map over, and when the function would refuse
                such a call.

        Example:
            >>> from runner import Flow, task, unmapped
            >>> add = task(lambda left, right: left + right, name="add")
            >>> with Flow("adding") as flow:
            ...     sums = add.map([1, 2, 3], unmapped(10))
            >>> flow.run().result("add")
            [11, 12, 13]
        """
        flow = open_graph.get()
        if flow is None:
            message = f"task {self.name!r} is mapped outside a flow"
            raise UsageError(message, hint="Call .map inside «with Flow(…):».")
        if all(isinstance(value, unmapped) for value in (*args, *kwargs.values())):
            message = f"task {self.name!r} is mapped over nothing"
            raise UsageError(message, hint="Give at least one argument that is not unmapped.")
        args = tuple(_lasting(value) for value in args)
        kwargs = {name: _lasting(value) for name, value in kwargs.items()}
        self._check_call(args, kwargs)
        return flow.add(Node(self, args, kwargs, upstream_tasks, mapped=True))

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Task {self.name}>"


Task.__module__ = "runner"  # see runner.model.flow.FlowGraph


@overload
def task(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    retry_delay: float | timedelta = 0,
    timeout: float | timedelta | None = None,
    checkpoint: bool = True,
    trigger: Trigger = "all_successful",
) -> Task: ...


@overload
def task(
    *,
    name: str | None = None,
    retries: int = 0,
    retry_delay: float | timedelta = 0,
    timeout: float | timedelta | None = None,
    checkpoint: bool = True,
    trigger: Trigger = "all_successful",
) -> Callable[[Callable[..., Any]], Task]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    retry_delay: float | timedelta = 0,
    timeout: float | timedelta | None = None,
    checkpoint: bool = True,
    trigger: Trigger = "all_successful",
) -> Task | Callable[[Callable[..., Any]], Task]:
    """Make a task of a function; a decorator, with or without rules in parentheses.

    Args:
        function: the function, when the decorator stands without parentheses; coroutine functions are awaited.
        name: by default the function's.
        retries: how often it is tried again after a failure.
        retry_delay: seconds before each retry, or a ``timedelta``.
        timeout: seconds for each try, or a ``timedelta``; by default there is no limit.
        checkpoint: whether its result is stored.
        trigger: when it runs: ``all_successful``, ``all_finished`` (a clean-up) or ``any_failed`` (an alert). Where it
            runs although something before it did not succeed, that argument is the exception that ended it.

    Returns:
        The task or, without a function, what makes one of a function.

    Raises:
        UsageError: when the function cannot be called, or one of the rules is none.

    Example:
        >>> from runner import task
        >>> @task(retries=3, retry_delay=10, timeout=600)
        ... def fetch(day):
        ...     return f"rows of {day}"
        >>> fetch("2026-01-01")
        'rows of 2026-01-01'
    """
    make = partial(
        Task,
        name=name,
        retries=retries,
        retry_delay=retry_delay,
        timeout=timeout,
        checkpoint=checkpoint,
        trigger=trigger,
    )
    return make if function is None else make(function)


task.__module__ = "runner"  # see runner.model.flow.FlowGraph


class unmapped:  # noqa: N801 - reads as a word in a call, as it does elsewhere
    """Marks an argument of `Task.map` that goes to every element as it is.

    Args:
        value: the argument.

    Example:
        >>> from runner import Flow, task, unmapped
        >>> with Flow("squares") as flow:
        ...     squares = task(pow, name="power").map([1, 2, 3], unmapped(2))
        >>> flow.run().result("power")
        [1, 4, 9]
    """

    def __init__(self, value: Any) -> None:
        self.value = value


unmapped.__module__ = "runner"  # see runner.model.flow.FlowGraph


class Node:
    """One use of a task in a flow, standing for the result it will have; made by calling the task.

    What its arguments hold of other nodes, and ``upstream_tasks``, are the edges of the graph.
    """

    def __init__(
        self,
        task: Task,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        upstream_tasks: Sequence[Node],
        *,
        mapped: bool,
    ) -> None:
        self.task = task
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.mapped = mapped
        self.slug = ""  # set by the flow, which knows the other names
        self.after = (upstream_tasks,) if isinstance(upstream_tasks, Node) else tuple(upstream_tasks)
        if not all(isinstance(node, Node) for node in self.after):
            message = f"upstream_tasks of {task.name!r} takes what calling tasks in the flow gave"
            raise UsageError(message)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def inputs(self) -> list[Node]:
        """The nodes whose values it is given, each once."""
        found = references((self.args, self.kwargs))
        return list(dict.fromkeys(node for node in found if isinstance(node, Node)))

    @property
    def upstream(self) -> list[Node]:
        """All nodes that it waits for, each once."""
        return list(dict.fromkeys((*self.inputs, *self.after)))

    def __iter__(self) -> Iterator[Any]:
        """Refuse: there is nothing to go through before the flow runs."""
        message = f"the result of task {self.name!r} is not there yet, so it cannot be gone through"
        raise UsageError(message, hint="Hand it to a task, or use .map.")

    def __repr__(self) -> str:
        """Show the slug."""
        return f"<Node {self.slug}>"


class Parameter:
    """A value that a run is given; without a default it is required.

    Made inside ``with Flow(…)``, or given to a task there, it belongs to that flow.

    Args:
        name: the name by which a run is given the value.
        default: the value of a run that is given none; ``...`` means that there is no default.
        required: whether a run must be given the value; by default when there is no default.

    Raises:
        UsageError: when the name is no text, it has a default and is required, or the flow has another of this name.

    Example:
        >>> from runner import Flow, Parameter, task
        >>> greet = task("hello {}".format, name="greet")
        >>> with Flow("greeting") as flow:
        ...     greeting = greet(Parameter("name", default="you"))
        >>> flow.run().result("greet"), flow.run(name="all").result("greet")
        ('hello you', 'hello all')
    """

    def __init__(self, name: str, *, default: Any = ..., required: bool | None = None) -> None:
        check_text("a parameter's name", name)
        self.required = default is ... if required is None else bool(required)
        if self.required and default is not ...:
            message = f"parameter {name!r} has a default and is required"
            raise UsageError(message, hint="Leave one of the two out.")
        self.name = name
        self.default = None if default is ... else default
        if flow := open_graph.get():
            flow.add_parameter(self)

    def __repr__(self) -> str:
        """Show the name."""
        return f"<Parameter {self.name}>"


Node.__module__ = Parameter.__module__ = "runner"  # see runner.model.flow.FlowGraph


def references(value: Any) -> Iterator[Node | Parameter]:
    """Yield every node and parameter in an argument, also inside lists, tuples, sets, dicts and `unmapped`."""
    if isinstance(value, Node | Parameter):
        yield value
    elif isinstance(value, unmapped):
        yield from references(value.value)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from references(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from references(part)


def filled(value: Any, given: Callable[[Node | Parameter], Any]) -> Any:
    """Return an argument with every node and parameter in it replaced; one that holds none is passed on as it is."""
    if isinstance(value, Node | Parameter):
        return given(value)
    if isinstance(value, unmapped):
        return filled(value.value, given)
    if next(references(value), None) is None:
        return value
    if isinstance(value, dict):
        return {key: filled(part, given) for key, part in value.items()}
    parts: Iterable[Any] = (filled(part, given) for part in value)
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def _lasting(value: Any) -> Any:
    """Return an iterator as a list, since only one run could go through it."""
    return list(value) if hasattr(value, "__next__") else value
