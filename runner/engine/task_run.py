"""One try of a task in one of the executor's slots, and what became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runner import logs
from runner.engine.interrupt import TaskCancelled, TaskTimeout, Waiting, awaited, time_limit
from runner.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.engine.cache import CachePolicy
    from runner.engine.units import Graph, Unit
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord

    # Called with (node, element's index, value); pickles the value, and returns what stores the result and describes
    # it, or None if it was only to be seen that it could be. Raises TaskError when the value is to blame.
    Save = Callable[[Node, int | None, Any], Callable[[], ResultRecord] | None]

STUCK_AFTER_SECONDS = 5.0  # after its time limit, in which interrupted code must come back, else it counts as stuck


class Reused(NamedTuple):
    """An earlier attempt's result was taken instead of calling the function."""

    unit: Unit
    number: int
    result: ResultRecord
    value: Any


class Returned(NamedTuple):
    """The function returned a value, which tasks after it may be given while it is still being stored."""

    unit: Unit
    number: int
    value: Any


class Stored(NamedTuple):
    """The result of a value that was returned is stored, if it is to be; the slot is free."""

    unit: Unit
    number: int
    result: ResultRecord | None


class Failed(NamedTuple):
    """The function raised, or its value cannot be stored; the slot is free."""

    unit: Unit
    number: int
    error: BaseException
    may_retry: bool


class Stopped(NamedTuple):
    """The function was interrupted because the run is to stop; the slot is free."""

    unit: Unit
    number: int


class Aborted(NamedTuple):
    """The run cannot go on: storage failed, or runner did."""

    error: BaseException


Event = Reused | Returned | Stored | Failed | Stopped | Aborted


class TaskRunner:
    """Runs tries of tasks in the threads in which it is called, and posts what became of each.

    Args:
        graph: where arguments are found.
        save: stores results; without it none are stored.
        policy: which results of earlier attempts are used.
        post: called with every event, from any thread.
    """

    def __init__(
        self, graph: Graph, save: Save | None, policy: CachePolicy | None, post: Callable[[Event], None]
    ) -> None:
        self.cancelled = False
        self._graph, self._save, self._policy, self._post = graph, save, policy, post
        self._running: set[Unit] = set()  # those whose function may be interrupted

    def cancel(self) -> None:
        """Interrupt what runs, and all that is begun after this; may be called from any thread."""
        self.cancelled = True
        for unit in list(self._running):
            unit.limit.interrupt(TaskCancelled)

    def run(self, unit: Unit, number: int) -> bool:
        """Run a unit's try of this number, and return whether the thread that it ran in still counts as a slot."""
        with logs.task_context(unit.label):
            try:
                self._try(unit, number)
            except BaseException as error:  # noqa: BLE001 - storage failed, or we did: the run cannot go on
                self._post(Aborted(error))
        return unit.last_abandoned_try < number

    def _try(self, unit: Unit, number: int) -> None:
        if self._policy and (stored := self._policy.load(unit)):
            unit.last_finished_try = number
            self._post(Reused(unit, number, *stored))
            return
        before = time.thread_time()
        try:
            value = self._call(unit)
        except BaseException as error:  # whatever ends the task, SystemExit too, is its failure
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # a person's, not the task's
            self._finished(unit, number, before)
            if isinstance(error, TaskCancelled):
                self._post(Stopped(unit, number))
            else:
                self._post(Failed(unit, number, _as_author_sees_it(error, unit), may_retry=True))
            return
        self._finished(unit, number, before)
        if unit.last_abandoned_try < number:
            self._store(unit, number, value)

    @staticmethod
    def _finished(unit: Unit, number: int, before: float) -> None:
        unit.cpu += time.thread_time() - before
        unit.last_finished_try = number

    def _store(self, unit: Unit, number: int, value: Any) -> None:
        store = None
        if self._save and unit.group.node.task.checkpoint:
            try:
                store = self._save(unit.group.node, unit.index, value)
            except TaskError as error:
                self._post(Failed(unit, number, error, may_retry=False))
                return
        self._post(Returned(unit, number, value))
        self._post(Stored(unit, number, store() if store else None))

    def _call(self, unit: Unit) -> Any:
        """Call the task's function within its time limit, so that it can be interrupted."""
        task = unit.group.node.task
        if self._policy and any(source.skipped_as_unneeded for source in unit.sources):
            message = f"{unit.label} must run again, and what it is given was not kept"
            raise TaskError(message)
        args, kwargs = self._graph.arguments(unit)
        limit = time_limit(task.timeout)
        try:
            self._begin(unit, limit)
            with limit:
                value = task.function(*args, **kwargs)
            if not isinstance(value, Coroutine):  # compiled ones are of types of their own
                return value
            stuck = task.timeout and task.timeout + STUCK_AFTER_SECONDS / 2
            return awaited(value, task.timeout, stuck, partial(self._begin, unit))
        finally:
            self._running.discard(unit)

    def _begin(self, unit: Unit, limit: time_limit | Waiting) -> None:
        """Remember what interrupts the unit from now on, and interrupt it at once in a run that is to stop."""
        unit.limit = limit
        self._running.add(unit)
        if self.cancelled:
            limit.interrupt(TaskCancelled)


def _as_author_sees_it(error: BaseException, unit: Unit) -> BaseException:
    """Return the error itself or, for a task that took too long, a TimeoutError with its traceback."""
    if not isinstance(error, TaskTimeout):
        return error
    return TimeoutError(f"took longer than {unit.group.node.task.timeout:g} s").with_traceback(error.__traceback__)
