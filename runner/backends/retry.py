"""The retries of one storage: full jitter, and what one thread finds out about a slow storage, all of them know.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.1  # at most; each pause after it may take twice as long as the one before
LONGEST_PAUSE_SECONDS = 5.0
PAUSE_SHARE = 0.25  # of the time in which tries may begin: no pause is longer


def may_pass(error: RunnerError) -> bool:
    """Return whether a failure may pass by itself."""
    return error.transient


class Retries:
    """The retries of all threads that use one storage.

    While it fails, one of them tries, and the others wait for what that finds, each until its own time is over.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pause = 0.0  # the longest before the next try; 0 while nothing fails
        self._next = 0.0  # when somebody may try
        self._failed = -math.inf  # when the last failure came
        self._end = math.inf

    def end_within(self, seconds: float) -> None:
        """Begin no try later than so many seconds from now, whatever time was given."""
        with self._changed:
            self._end = time.monotonic() + seconds
            self._changed.notify_all()

    def persistently(
        self,
        action: Callable[[], T],
        seconds: float,
        again: Callable[[RunnerError], bool] = may_pass,
        *,
        one_more: bool = True,
    ) -> T:
        """Call ``action`` until it succeeds or fails in a way that does not pass, and return what it returns.

        A try that itself takes long is not cut.

        Args:
            action: is called without arguments.
            seconds: from now until the last try begins; its error is raised.
            again: whether an error is worth another try.
            one_more: a try that was under way at that time is not the last one.
        """
        began = time.monotonic()
        longest = min(LONGEST_PAUSE_SECONDS, seconds * PAUSE_SHARE)
        while True:
            self._take_turn(began + seconds, longest)
            tried = time.monotonic()
            try:
                answer = action()
            except RunnerError as error:
                if not again(error):
                    self._on_answer()
                    raise
                self._on_failure(tried, longest)
                if (tried if one_more else time.monotonic()) >= min(began + seconds, self._end):
                    raise
            else:
                self._on_answer()
                return answer

    def _take_turn(self, due: float, longest: float) -> None:
        """Wait, while the storage fails, until somebody may try; the others then wait for what becomes of it."""
        if not self._pause:
            return
        with self._changed:
            while self._pause and (left := min(self._next, due, self._end) - time.monotonic()) > 0:
                self._wait(left)
            self._next = time.monotonic() + longest

    def _wait(self, seconds: float) -> None:
        self._changed.wait(seconds)

    def _on_failure(self, tried: float, longest: float) -> None:
        with self._changed:
            if tried >= self._failed:  # else it was under way when another one failed
                self._failed = time.monotonic()
                self._pause = max(FIRST_PAUSE_SECONDS, 2 * self._pause)
                self._pause = min(self._pause, max(longest, FIRST_PAUSE_SECONDS))
                self._next = self._failed + self._pause * _random()
                self._changed.notify_all()

    def _on_answer(self) -> None:
        if self._pause:
            with self._changed:
                self._pause = 0.0
                self._changed.notify_all()


def _random() -> float:
    """Return a number from 0 to 1; the module of that name would cost every start its import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
