"""Runs a graph: order, triggers, retries, time limits. What becomes of results is not its business.

One thread, the caller's, decides; the tasks run in the executor's slots and report through one queue.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from runner import logs
from runner.engine.interrupt import TaskCancelled, TaskTimeout, Waiting, awaited, time_limit
from runner.engine.report import Report
from runner.engine.units import Graph, Group, Unit
from runner.errors import InternalError, TaskError
from runner.tracebacks import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.engine.executors import Executor
    from runner.model.flow import FlowGraph
    from runner.model.task import Node
    from runner.schema.documents import ResultRecord, TaskState

    # Takes (node, element's index, value), pickles, and gives what makes the result durable and describes it.
    # Raises TaskError when the value is to blame.
    Save = Callable[[Node, int | None, Any], Callable[[], ResultRecord]]

log = logs.logger("engine")


class ResultCache(Protocol):
    """Results of earlier attempts, by a task's slug and the element's index."""

    def has(self, slug: str, index: int | None) -> bool:
        """Whether there is one."""

    def is_whole(self, slug: str, index: int | None) -> bool:
        """Whether there is one, and it is what was once stored."""

    def version(self, slug: str, index: int | None) -> tuple[int, int]:
        """Tell when it was made: what was made later compares as greater."""

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[ResultRecord, Any] | None:
        """Give its description and, if that is wanted, the value; None if it cannot be used after all."""


STUCK_AFTER = 5.0  # seconds after its time limit in which interrupted code must come back, else it counts as stuck


class Engine:
    """Runs one flow once.

    Args:
        flow: the graph.
        parameters: a value for every one of its parameters.
        executor: where tasks run.
        save: makes results durable; without it none are.
        kept: results that need not be made again.
        keep: keep the values for the caller instead of dropping each when nothing can want it any more.
    """

    def __init__(
        self,
        flow: FlowGraph,
        parameters: Mapping[str, Any],
        executor: Executor,
        *,
        save: Save | None = None,
        kept: ResultCache | None = None,
        keep: bool = False,
    ) -> None:
        """See the class."""
        self.graph = Graph(flow, parameters, keep=keep)
        self.executor, self.save, self.kept = executor, save, kept
        self.sensitive = self.graph.after_failures() if kept else set()
        self.needed: dict[tuple[Node, int | None], bool] = {}
        self.cancelled = False
        self.running: set[Unit] = set()  # those whose function may be interrupted
        self.events: SimpleQueue[Callable[[], None]] = SimpleQueue()  # what happened in the slots
        self.due: deque[Callable[[], None]] = deque()  # what follows from it
        self.ready: list[tuple[int, int, int, Unit]] = []  # deepest first: what was begun is finished, memory stays low
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0  # orders what is equal in the heaps
        self.busy = 0  # slots in use
        self.left = len(self.graph.groups)  # groups that are not done

    def run(self) -> Report:
        """Run everything that can run. Raises what `save` raised when a result could not be made durable."""
        for group in self.graph.groups.values():
            self._plan(group)
        try:
            while self.left or self.busy or self.due:
                while self.due:
                    self.due.popleft()()
                self._dispatch()
                if not self.due:
                    if not self.busy and (self.cancelled or not self.left):
                        break
                    self._wait()
        finally:
            self.executor.close()
        return self.report()

    def cancel(self) -> None:
        """Begin no more tasks, interrupt those that run, and let `run` return; may be called from any thread."""
        self.cancelled = True
        for unit in list(self.running):
            unit.limit.interrupt(TaskCancelled)
        self.events.put(lambda: None)

    def report(self) -> Report:
        """Tell how far the flow is; a task that is not done counts as cancelled."""
        groups = self.graph.groups
        units = [unit for group in groups.values() for unit in group.units or [Unit(group, None)]]
        failed = next((unit for unit in units if unit.state == "failed"), None)
        state = "cancelled" if self.cancelled and (self.left or self.busy) else "failed" if failed else "succeeded"
        values = {node.slug: group.handed for node, group in groups.items()}
        tasks = [unit.record() for unit in units]
        return Report(state, tasks, failed.error if failed else None, values)

    def _wait(self) -> None:
        """Take the next event, or the action of the timer that runs out first."""
        if not self.busy and not self.timers:
            message = "the engine waits for nothing"
            raise InternalError(message)
        left = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else None
        try:
            event = self.events.get(timeout=left)
        except Empty:
            event = heapq.heappop(self.timers)[2]
        event()

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.timers, (moment, self.count, action))

    # From nodes to units

    def _plan(self, group: Group) -> None:
        if not group.node.mapped:
            self._open(group, [self.graph.whole(group)])
            return
        sources = self.graph.sources_of_map(group)
        step = self._after(len(sources), lambda: self._expand(group))
        for source in sources:
            (source.when_expanded if source.node.mapped else source.followers).append(step)

    def _after(self, number: int, action: Callable[[], None]) -> Callable[[], None]:
        """Give what does the action when it is called for the n-th time; for none, it is due at once."""
        if number == 0:
            self.due.append(action)

        def step() -> None:
            nonlocal number
            number -= 1
            if number == 0:
                action()

        return step

    def _expand(self, group: Group) -> None:
        """Make a mapped node's units, now that the lengths of all that it is mapped over are known."""
        lacking = [source for source in self.graph.sources_of_map(group) if source.unmappable]
        try:
            group.elements = None if lacking else self.graph.elements(group)
        except TaskError as error:
            self._close(group, "failed", error, broken=True)
        else:
            if lacking:
                self._close(group, "skipped", None, broken=any(source.broken for source in lacking))
            else:
                self._open(group, group.elements or [self.graph.whole(group)])

    def _close(self, group: Group, state: TaskState, error: BaseException | None, *, broken: bool) -> None:
        """End a mapped node that cannot be mapped."""
        group.units, group.open = [Unit(group, None)], 1
        self._end(group.units[0], state, error, broken=broken)
        self.due.extend(group.when_expanded)

    def _open(self, group: Group, units: list[Unit]) -> None:
        group.units, group.open = units, len(units)
        self.due.extend(group.when_expanded)
        for unit in units:
            waits = [source for source in unit.sources if not source.done]
            step = self._after(len(waits), partial(self._decide, unit))
            for source in waits:
                source.followers.append(step)

    # From units to ends

    def _decide(self, unit: Unit) -> None:
        """Everything that the unit waits for is done: does its trigger let it run?"""
        trigger = unit.group.node.task.trigger
        broken = any(source.broken for source in unit.sources)
        if trigger == "all_successful" and any(source.state != "succeeded" for source in unit.sources):
            self._end(unit, "skipped", None, broken=broken)
        elif trigger == "any_failed" and not broken:
            self._end(unit, "skipped", None, broken=False)
        elif unit.group.elements == []:
            unit.value = []
            self._end(unit, "succeeded", None, broken=False)
        elif self.kept and not self._is_needed(unit.group.node, unit.index):
            unit.was_passed = True
            self._end(unit, "succeeded", None, broken=False)
        else:
            self._queue(unit)

    def _is_needed(self, node: Node, index: int | None) -> bool:
        """Whether a task whose result is never kept must run: nobody knows if it did, or its value is wanted."""
        if node.task.checkpoint:
            return True
        if (node, index) not in self.needed:
            consumers = self.graph.consumers(node)
            needs = not consumers or any(self._needs(consumer, node, index) for consumer in consumers)
            self.needed[node, index] = needs
        return self.needed[node, index]

    def _needs(self, consumer: Node, node: Node, index: int | None) -> bool:
        if consumer in self.sensitive:
            return True  # it may have to run again
        if consumer.mapped and (index is None or not self.graph.maps_each(consumer, node)):
            return True  # how many elements there are is only known from the value
        own = index if consumer.mapped else None
        if consumer.task.checkpoint:
            return not (self.kept and self.kept.is_whole(consumer.slug, own))
        return self._is_needed(consumer, own)

    def _queue(self, unit: Unit) -> None:
        self.count += 1
        heapq.heappush(self.ready, (-unit.group.depth, unit.group.order, self.count, unit))

    def _dispatch(self) -> None:
        while self.ready and self.busy < self.executor.slots and not self.cancelled:
            unit = heapq.heappop(self.ready)[3]
            unit.tries += 1
            unit.started = unit.started or time.time()
            self.busy += 1
            self._submit(unit, unit.tries, unit.group.node.task.timeout)

    def _submit(self, unit: Unit, number: int, limit: float | None) -> None:
        if limit is not None:
            self._at(time.monotonic() + limit + STUCK_AFTER, lambda: self._stuck(unit, number))
        self.executor.submit(lambda: self._work(unit, number))

    def _work(self, unit: Unit, number: int) -> bool:
        """Run one try in a slot, tell the engine of it, and say whether the slot is still wanted."""
        with logs.task_context(unit.label):
            try:
                self._try(unit, number)
            except BaseException as error:  # noqa: BLE001 - storage failed, or we did: the run cannot go on
                self.events.put(partial(self._abort, error))
        return unit.abandoned < number

    def _try(self, unit: Unit, number: int) -> None:
        task, post = unit.group.node.task, self.events.put
        if taken := self._taken(unit):
            unit.returned = number
            post(partial(self._reused, unit, *taken))
            return
        try:
            value = self._call(unit)
        except BaseException as error:  # whatever ends the task, SystemExit too, is its failure
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # a person's, not the task's
            unit.returned = number
            if isinstance(error, TaskCancelled):
                post(lambda: self._interrupted(unit, number))
                return
            failure = error
            if isinstance(error, TaskTimeout):
                failure = TimeoutError(f"took longer than {task.timeout:g} s")
                failure.__traceback__ = error.__traceback__
            post(lambda: self._failed(unit, number, failure, retry=True))
            return
        unit.returned = number
        if unit.abandoned >= number:
            return
        durable = None
        if self.save and task.checkpoint:
            try:
                durable = self.save(unit.group.node, unit.index, value)
            except TaskError as error:
                post(partial(self._failed, unit, number, error, retry=False))
                return
        post(lambda: self._succeeded(unit, number, value))  # tasks after it may run while the result is still under way
        result = durable() if durable else None
        post(lambda: self._stored(unit, number, result))

    def _taken(self, unit: Unit) -> tuple[ResultRecord, Any] | None:
        """Give what an earlier attempt made of the same: what saw a failure that is none any more is not the same."""
        if not self.kept or not self.kept.has(*unit.key):
            return None
        if unit.group.node in self.sensitive:
            handles = unit.group.node.task.trigger != "all_successful"
            made = self.kept.version(*unit.key)
            units = [each for source in unit.sources for each in source.all_units]
            seen = [each for each in units if handles or each.group.node in self.sensitive]
            if not all(each.is_reused and self.kept.version(*each.key) <= made for each in seen):
                return None
        return self.kept.load(*unit.key, wanted=unit.is_wanted)

    def _call(self, unit: Unit) -> Any:
        """Call the task's function, in its time, and so that it can be interrupted."""
        task = unit.group.node.task
        if self.kept and any(source.was_passed for source in unit.sources):
            message = f"{unit.label} must run again, and what it is given was not kept"
            raise TaskError(message)
        args, kwargs = self.graph.arguments(unit)
        limit = time_limit(task.timeout)
        try:
            self._watch(unit, limit)
            with limit:
                value = task.function(*args, **kwargs)
            if not isinstance(value, CoroutineType):
                return value
            stuck = task.timeout and task.timeout + STUCK_AFTER / 2
            return awaited(value, task.timeout, stuck, partial(self._watch, unit))
        finally:
            self.running.discard(unit)

    def _watch(self, unit: Unit, limit: time_limit | Waiting) -> None:
        unit.limit = limit
        self.running.add(unit)
        if self.cancelled:
            limit.interrupt(TaskCancelled)

    def _reused(self, unit: Unit, result: ResultRecord, value: Any) -> None:
        self.busy -= 1
        unit.value, unit.result, unit.tries, unit.started = value, result, 0, None
        unit.is_reused = True
        self._end(unit, "succeeded", None, broken=False)

    def _interrupted(self, unit: Unit, number: int) -> None:
        if unit.abandoned < number:
            self.busy -= 1
            unit.ended = time.time()
            log.info("task %s was interrupted", unit.label, extra={"task": unit.label})

    def _failed(self, unit: Unit, number: int, error: BaseException, *, retry: bool) -> None:
        if unit.abandoned >= number:
            return
        self.busy -= 1
        task = unit.group.node.task
        if retry and unit.tries <= task.retries and not self.cancelled:
            tries = f"try {unit.tries} of {task.retries + 1}"
            log.warning("task %s failed, %s: %r", unit.label, tries, error, extra={"task": unit.label})
            self._at(time.monotonic() + task.retry_delay, lambda: self._queue(unit))
        else:
            self._end(unit, "failed", error, broken=True)

    def _stuck(self, unit: Unit, number: int) -> None:
        """Give up on code that does not come back to the interpreter: its slot is free again, its thread is not."""
        if unit.returned >= number:
            return
        unit.abandoned = number
        self.busy -= 1
        limit = unit.group.node.task.timeout
        message = f"took longer than {limit:g} s and is still in native code, so it is not tried again"
        self._end(unit, "failed", TimeoutError(message), broken=True)

    def _succeeded(self, unit: Unit, number: int, value: Any) -> None:
        if unit.abandoned < number:
            unit.value = value
            self._end(unit, "succeeded", None, broken=False)

    def _stored(self, unit: Unit, number: int, result: ResultRecord | None) -> None:
        if unit.abandoned < number:
            self.busy -= 1
            unit.result = result

    def _abort(self, error: BaseException) -> None:
        raise error

    def _end(self, unit: Unit, state: TaskState, error: BaseException | None, *, broken: bool) -> None:
        unit.state, unit.broken, unit.done = state, broken, True
        unit.ended = time.time() if unit.started else None
        named = {"task": unit.label}
        if error is not None:
            record = describe_exception(error)
            unit.error, unit.told = error, record
            details = {**named, "exception": record["traceback"]}
            log.error("task %s failed: %s: %s", unit.label, record["type"], record["message"], extra=details)
        elif state == "skipped":
            unit.error = TaskError(f"{unit.label} was skipped")
            log.info("task %s skipped", unit.label, extra=named)
        else:
            level = logs.INFO if unit.index is None else logs.DEBUG  # 10,000 elements are no 10,000 lines
            before = not unit.tries and (unit.result or unit.was_passed)
            log.log(level, "task %s succeeded%s", unit.label, " before" if before else "", extra=named)
        unit.args, unit.kwargs = (), {}
        self._follow(unit)
        for source in unit.sources:
            if isinstance(source, Unit):
                source.release()
        unit.drop_unwanted()
        unit.group.open -= 1
        if unit.group.open == 0:
            unit.group.finish()
            self.left -= 1
            if unit.index is not None:
                done, slug = [each.state for each in unit.group.units], unit.group.node.slug
                numbers = done.count("succeeded"), len(done)
                log.info("task %s: %d of %d elements succeeded", slug, *numbers, extra={"task": slug})
            self._follow(unit.group)

    def _follow(self, done: Unit | Group) -> None:
        self.due.extend(done.followers)
        done.followers = []
