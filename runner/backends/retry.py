"""Retries with full jitter, so that many that failed at once don't come back at once.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypeVar

from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.1  # at most; each pause after it may take twice as long as the one before
LONGEST_PAUSE_SECONDS = 5.0


def may_pass(error: RunnerError) -> bool:
    """Return whether a failure may pass by itself."""
    return error.transient


def persistently(action: Callable[[], T], deadline: float, again: Callable[[RunnerError], bool] = may_pass) -> T:
    """Call ``action`` until it succeeds or fails in a way that does not pass, and return what it returns.

    A try that itself takes long is not cut.

    Args:
        action: is called without arguments.
        deadline: seconds after the first try at which the last one begins; its error is raised.
        again: whether an error is worth another try.
    """
    began, longest = time.monotonic(), FIRST_PAUSE_SECONDS
    while True:
        try:
            return action()
        except RunnerError as error:
            left = began + deadline - time.monotonic()
            if left <= 0 or not again(error):
                raise
        time.sleep(min(longest * _random(), left))
        longest = min(longest * 2, LONGEST_PAUSE_SECONDS)


def _random() -> float:
    """Return a number from 0 to 1; the module of that name would cost every start its import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
