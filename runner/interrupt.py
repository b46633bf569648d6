"""A time limit for code in a thread: it is interrupted at its next bytecode."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class TaskTimeout(BaseException):
    """Ends a task that took too long; no `Exception`, so that ``except Exception`` in the task does not swallow it."""


class time_limit:  # noqa: N801 - reads as what it does in a with statement
    """Raise `TaskTimeout` in the block's thread once the seconds are over; None sets no limit.

    Native code (a ``time.sleep``, a blocking read) is left alone until it comes back to the interpreter.
    """

    def __init__(self, seconds: float | None) -> None:
        """Take the seconds."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = self._fired = False

    def __enter__(self) -> Self:
        """Start the clock."""
        if self._seconds is not None:
            self._thread = threading.get_ident()
            self._timer = threading.Timer(self._seconds, self._fire)
            self._timer.daemon = True
            self._timer.start()
        return self

    def _fire(self) -> None:
        with self._lock:
            if not self._over:
                self._fired = True
                _raise_in(self._thread)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the clock; after this the block's thread is safe."""
        if self._seconds is None:
            return
        with self._lock:
            self._over = True
        self._timer.cancel()
        if self._fired:
            self._catch_up()

    def _catch_up(self) -> None:
        """Let what was set, and may not have been raised yet, be raised here.

        To take it back would leave the interpreter's flag for it up for good: that slows all threads down, and makes
        Python 3.11 spin in place under a debugger or coverage.
        """
        try:
            _raise_in(self._thread)  # instead of the other one, if that is still to come
            while True:
                time.sleep(0)
        except TaskTimeout:
            pass


def _raise_in(thread: int) -> None:
    """See https://docs.python.org/3/c-api/init.html#c.PyThreadState_SetAsyncExc."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TaskTimeout))
