"""Where tasks run: on threads, or one after the other."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], bool]

MOST_THREADS = 32  # as many as Python's own pools start at the most; tasks mostly wait for others


class Executor(Protocol):
    """Runs jobs; a job never raises, and returns whether the thread that it ran in still counts as a slot."""

    slots: int  # how many jobs the engine may have running at once

    def submit(self, job: Job) -> None:
        """Run a job; at most `slots` are submitted before the first has ended, or was abandoned."""

    def close(self) -> None:
        """End the threads that are idle; nothing that runs is waited for."""


class Threads:
    """Daemon threads, so that native code which never returns cannot hold the process.

    A job that was abandoned keeps its thread, and another thread takes its slot.

    Args:
        number: how many threads; by default the CPUs that this process may use and 4 more, at most 32.
    """

    def __init__(self, number: int | None = None) -> None:
        self.slots = number or min(MOST_THREADS, _cpus() + 4)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)  # threads that wait for a job, or will at once, less the jobs for them
        self._started = 0

    def submit(self, job: Job) -> None:
        """See `Executor.submit`."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False):
            self._started += 1
            threading.Thread(target=self._work, name=f"task-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) and job():
            del job  # and what it holds on to, while the thread waits for the next one
            self._idle.release()

    def close(self) -> None:
        """See `Executor.close`."""
        for _ in range(self._started):
            self._jobs.put(None)


class Sequential:
    """In the thread that runs the flow, for debuggers and for code that insists on the main thread."""

    slots = 1

    def submit(self, job: Job) -> None:
        """See `Executor.submit`."""
        job()

    def close(self) -> None:
        """See `Executor.close`; nothing is left."""


def open_executor(spec: str) -> Executor:
    """Return the executor of ``threads``, ``threads:8`` or ``sequential``, as settings checked it."""
    kind, _, number = spec.partition(":")
    return Sequential() if kind == "sequential" else Threads(int(number) if number else None)


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
