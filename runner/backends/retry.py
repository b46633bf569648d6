"""When what failed is tried again: full jitter, so that many that failed at once don't come back at once.

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
FIRST = 0.1  # seconds that the first pause takes at most; each one after it twice as many
LONGEST = 5.0


def may_pass(error: RunnerError) -> bool:
    """Tell whether a failure may pass by itself."""
    return error.transient


def persistently(action: Callable[[], T], deadline: float, again: Callable[[RunnerError], bool] = may_pass) -> T:
    """Do something, and do it again as long as it fails in a way that may pass.

    The last try begins when ``deadline`` seconds have passed since the first one, and its error is raised. A try that
    itself takes long is not cut.
    """
    began, longest = time.monotonic(), FIRST
    while True:
        try:
            return action()
        except RunnerError as error:
            left = began + deadline - time.monotonic()
            if left <= 0 or not again(error):
                raise
        time.sleep(min(longest * _random(), left))
        longest = min(longest * 2, LONGEST)


def _random() -> float:
    """Give a number from 0 to 1; the module of that name would cost every start its import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
