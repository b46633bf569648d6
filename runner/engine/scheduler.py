"""Runs a graph: order, triggers, retries, time limits. What becomes of results is not its business.

One thread, the caller's, decides; the tasks run in the executor's slots and report through one queue.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, assert_never

from runner import logs
from runner.engine import task_run
from runner.engine.cache import CachePolicy
from runner.engine.report import Report
from runner.engine.task_run import Aborted, Event, Failed, Returned, Reused, Stopped, Stored, TaskRunner
from runner.engine.units import Graph, Group, Unit
from runner.errors import InternalError, TaskError
from runner.limits import MOST_SECONDS
from runner.tracebacks import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.engine.cache import ResultCache
    from runner.engine.executors import Executor
    from runner.engine.task_run import Save
    from runner.model.flow import FlowGraph
    from runner.schema.documents import TaskState

log = logs.logger("engine")


class Engine:
    """Runs one flow once.

    Args:
        flow: the graph.
        parameters: a value for every one of its parameters.
        executor: where tasks run.
        save: stores results; without it none are stored.
        cache: results of earlier attempts, whose tasks need not run again.
        keep_values: keep the values for the caller instead of dropping each when nothing can want it any more.
    """

    def __init__(
        self,
        flow: FlowGraph,
        parameters: Mapping[str, Any],
        executor: Executor,
        *,
        save: Save | None = None,
        cache: ResultCache | None = None,
        keep_values: bool = False,
    ) -> None:
        self.graph = Graph(flow, parameters, keep_values=keep_values)
        self.executor = executor
        self.policy = CachePolicy(self.graph, cache) if cache else None
        self.events: SimpleQueue[Event | None] = SimpleQueue()  # what happened in the slots; None only wakes `run`
        self._epoch = time.time() - time.monotonic()
        self.runner = TaskRunner(self.graph, save, self.policy, self.events.put)
        self.due: deque[Callable[[], None]] = deque()  # what follows from it
        self.ready: list[tuple[int, int, int, Unit]] = []  # deepest first: what was begun is finished, memory stays low
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0  # orders what is equal in the heaps
        self.busy = 0  # slots in use
        self.left = len(self.graph.groups)  # groups that are not done

    def run(self) -> Report:
        """Run everything that can run. Raises what `save` raised when a result could not be stored."""
        for group in self.graph.groups.values():
            self._plan(group)
        try:
            while self.left or self.busy or self.due:
                while self.due:
                    self.due.popleft()()
                self._dispatch()
                if not self.due:
                    if not self.busy and (self.runner.cancelled or not self.left):
                        break
                    self._wait()
        finally:
            self.executor.close()
        return self.report()

    def cancel(self) -> None:
        """Begin no more tasks, interrupt those that run, and let `run` return; may be called from any thread."""
        self.runner.cancel()
        self.events.put(None)

    def report(self) -> Report:
        """Return how far the flow is; a task that is not done counts as cancelled."""
        groups = self.graph.groups
        units = [unit for group in groups.values() for unit in group.units or [Unit(group, None)]]
        failed = next((unit for unit in units if unit.state == "failed"), None)
        stopped = self.runner.cancelled and (self.left or self.busy)
        state = "cancelled" if stopped else "failed" if failed else "succeeded"
        values = {node.slug: group.input_value for node, group in groups.items()}
        tasks = [unit.record() for unit in units]
        return Report(state, tasks, failed.error if failed else None, values)

    def _wait(self) -> None:
        """Handle the next event, or act on the timer that runs out first."""
        if not self.busy and not self.timers:
            message = "the engine waits for nothing"
            raise InternalError(message)
        left = max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else None
        try:
            event = self.events.get(timeout=left and min(left, MOST_SECONDS))
        except Empty:
            heapq.heappop(self.timers)[2]()
        else:
            if event is not None:
                self._handle(event)

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
        """Return what does the action when it is called for the n-th time; with n = 0 the action is due at once."""
        if number == 0:
            self.due.append(action)

        def step() -> None:
            nonlocal number
            number -= 1
            if number == 0:
                action()

        return step

    def _expand(self, group: Group) -> None:
        """Create a mapped node's units, now that the lengths of all that it is mapped over are known."""
        lacking = [source for source in self.graph.sources_of_map(group) if source.unmappable]
        try:
            group.elements = None if lacking else self.graph.elements(group)
        except TaskError as error:
            self._close(group, "failed", error, failed_upstream=True)
        else:
            if lacking:
                self._close(group, "skipped", None, failed_upstream=any(source.failed_upstream for source in lacking))
            else:
                self._open(group, group.elements or [self.graph.whole(group)])

    def _close(self, group: Group, state: TaskState, error: BaseException | None, *, failed_upstream: bool) -> None:
        """End a mapped node that cannot be mapped."""
        group.units, group.open = [Unit(group, None)], 1
        self._end(group.units[0], state, error, failed_upstream=failed_upstream)
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
        failed_upstream = any(source.failed_upstream for source in unit.sources)
        if trigger == "all_successful" and any(source.state != "succeeded" for source in unit.sources):
            self._end(unit, "skipped", None, failed_upstream=failed_upstream)
        elif trigger == "any_failed" and not failed_upstream:
            self._end(unit, "skipped", None, failed_upstream=False)
        elif unit.group.elements == []:
            unit.value = []
            self._end(unit, "succeeded", None, failed_upstream=False)
        elif self.policy and not self.policy.is_required(unit.group.node, unit.index):
            unit.skipped_as_unneeded = True
            self._end(unit, "succeeded", None, failed_upstream=False)
        else:
            self._queue(unit)

    def _queue(self, unit: Unit) -> None:
        self.count += 1
        heapq.heappush(self.ready, (-unit.group.depth, unit.group.order, self.count, unit))

    def _now(self) -> float:
        """Return the time of day, by a clock that nobody sets back while the flow runs: durations are true."""
        return self._epoch + time.monotonic()

    def _dispatch(self) -> None:
        while self.ready and self.busy < self.executor.slots and not self.runner.cancelled:
            unit = heapq.heappop(self.ready)[3]
            unit.tries += 1
            unit.started = unit.started or self._now()
            self.busy += 1
            self._submit(unit, unit.tries, unit.group.node.task.timeout)

    def _submit(self, unit: Unit, number: int, limit: float | None) -> None:
        if limit is not None:
            self._limit(unit, number, limit)
        self.executor.submit(lambda: self.runner.run(unit, number))

    def _limit(self, unit: Unit, number: int, limit: float) -> None:
        self._at(time.monotonic() + limit + task_run.STUCK_AFTER_SECONDS, lambda: self._on_limit(unit, number, limit))

    def _on_limit(self, unit: Unit, number: int, limit: float) -> None:
        """Abandon code that does not come back to the interpreter: its slot is free again, its thread is not."""
        if unit.last_finished_try >= number:
            return
        if unit.limit is None:  # the function was not called yet: a stored result is being loaded
            self._limit(unit, number, limit)
            return
        unit.last_abandoned_try = number
        self.busy -= 1
        message = f"took longer than {limit:g} s and is still in native code, so it is not tried again"
        self._end(unit, "failed", TimeoutError(message), failed_upstream=True)

    # What happened in the slots

    def _handle(self, event: Event) -> None:
        if isinstance(event, Aborted):
            raise event.error
        unit = event.unit
        if unit.last_abandoned_try >= event.number:
            return  # it has ended without this try, which freed its slot
        match event:
            case Returned():
                unit.value = event.value
                self._end(unit, "succeeded", None, failed_upstream=False)
            case Stored():
                self.busy -= 1
                unit.result = event.result
            case Failed():
                self.busy -= 1
                self._retry_or_fail(unit, event)
            case Reused():
                self.busy -= 1
                unit.value, unit.result, unit.tries, unit.started = event.value, event.result, 0, None
                unit.is_reused = True
                self._end(unit, "succeeded", None, failed_upstream=False)
            case Stopped():
                self.busy -= 1
                unit.ended = self._now()
                log.info("task %s was interrupted", unit.label, extra={"task": unit.label})
            case _:
                assert_never(event)

    def _retry_or_fail(self, unit: Unit, failed: Failed) -> None:
        task = unit.group.node.task
        if failed.may_retry and unit.tries <= task.retries and not self.runner.cancelled:
            tries = f"try {unit.tries} of {task.retries + 1}"
            log.warning("task %s failed, %s: %r", unit.label, tries, failed.error, extra={"task": unit.label})
            self._at(time.monotonic() + task.retry_delay, lambda: self._queue(unit))
        else:
            self._end(unit, "failed", failed.error, failed_upstream=True)

    def _end(self, unit: Unit, state: TaskState, error: BaseException | None, *, failed_upstream: bool) -> None:
        unit.state, unit.failed_upstream, unit.done = state, failed_upstream, True
        unit.ended = self._now() if unit.started else None
        named = {"task": unit.label}
        if error is not None:
            record = describe_exception(error)
            unit.error, unit.error_record = error, record
            details = {**named, "exception": record["traceback"]}
            log.error("task %s failed: %s: %s", unit.label, record["type"], record["message"], extra=details)
        elif state == "skipped":
            unit.error = TaskError(f"{unit.label} was skipped")
            log.info("task %s skipped", unit.label, extra=named)
        else:
            level = logs.INFO if unit.index is None else logs.DEBUG  # 10,000 elements are no 10,000 lines
            before = not unit.tries and (unit.result or unit.skipped_as_unneeded)
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
