"""Code in a thread, interrupted at its next bytecode: when its time is over, or when somebody wants it to stop."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from runner.limits import MOST_SECONDS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable, Coroutine
    from types import TracebackType


class Interrupted(BaseException):
    """Ends a task from outside; no `Exception`, so that ``except Exception`` in the task does not swallow it."""


Interrupted.__module__ = "runner"  # see runner.model.flow.FlowGraph


class TaskTimeout(Interrupted):
    """Ends a task that took too long."""


TaskTimeout.__module__ = "runner"  # see runner.model.flow.FlowGraph


class TaskCancelled(Interrupted):
    """Ends a task because the run is to stop."""


TaskCancelled.__module__ = "runner"  # see runner.model.flow.FlowGraph


class time_limit:  # noqa: N801 - reads as what it does in a with statement
    """Raise `TaskTimeout` in the block's thread once the seconds are over; None sets no limit.

    Native code (a ``time.sleep``, a blocking read) is left alone until it comes back to the interpreter.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = False
        self._fired: type[Interrupted] | None = None
        self._thread: int | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        """Start the clock. Raises what the block was interrupted with before it began."""
        with self._lock:
            if self._fired:
                raise self._fired
            self._thread = threading.get_ident()
        if self._seconds is not None:
            self._timer = threading.Timer(min(self._seconds, MOST_SECONDS), self.interrupt, [TaskTimeout])
            self._timer.daemon = True
            self._timer.start()
        return self

    def interrupt(self, kind: type[Interrupted]) -> None:
        """Raise this in the block, from any thread; once it is over, or was interrupted, nothing happens."""
        with self._lock:
            if self._over or self._fired:
                return
            self._fired = kind
            if self._thread is not None:
                _raise_in(self._thread, kind)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock; after this the block's thread is safe."""
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._fired:
            self._absorb(self._fired)

    def _absorb(self, kind: type[Interrupted]) -> None:
        """Absorb an asynchronous exception that was set but perhaps not yet raised.

        To clear it would leave the interpreter's flag for it up for good: that slows all threads down, and makes
        Python 3.11 spin in place under a debugger or coverage.
        """
        assert self._thread is not None  # noqa: S101 - the block was entered
        try:
            _raise_in(self._thread, kind)  # instead of the other one, if that is still to come
            while True:
                time.sleep(0)
        except Interrupted:
            pass


def _raise_in(thread: int, kind: type[Interrupted]) -> None:
    """Set an asynchronous exception: https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


class Waiting:
    """A coroutine that can be cancelled where it waits, from any thread."""

    def __init__(self, loop: AbstractEventLoop, task: Task[Any]) -> None:
        self._loop, self._task = loop, task
        self.fired: type[Interrupted] | None = None

    def interrupt(self, kind: type[Interrupted]) -> None:
        """See `time_limit.interrupt`."""
        self.fired = kind
        with suppress(RuntimeError):  # the loop is closed: it is over
            self._loop.call_soon_threadsafe(self._task.cancel)


def awaited(
    coroutine: Coroutine[Any, Any, Any], limit: float | None, stuck: float | None, watch: Callable[[Waiting], None]
) -> Any:
    """Run a coroutine to its end; after ``limit`` seconds it is cancelled, after ``stuck`` interrupted like any code.

    An interruption may hit asyncio itself, between two steps of the coroutine, which asyncio does not survive.
    ``watch`` is called with what cancels it from outside.
    """
    import asyncio

    async def limited() -> Any:
        own = asyncio.current_task()
        assert own is not None  # noqa: S101 - this is a coroutine that runs
        waiting = Waiting(asyncio.get_running_loop(), own)
        watch(waiting)
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                return await coroutine
        except TimeoutError:
            if deadline.expired():
                raise TaskTimeout from None
            raise
        except asyncio.CancelledError:
            if waiting.fired:
                raise waiting.fired from None
            raise

    with time_limit(stuck):
        return asyncio.run(limited())
