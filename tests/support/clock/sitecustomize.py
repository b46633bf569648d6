"""A machine whose clock is wrong, for each Python that has this folder on its path: by CLOCK_OFFSET, in seconds.

Only the wall clock is; a preloaded library would have each sleep fail, as Python sleeps by the other one.
"""

from __future__ import annotations

import datetime as dt
import os
import time

OFFSET = float(os.environ["CLOCK_OFFSET"])
_time = time.time


class WrongDatetime(dt.datetime):
    """What knows another time."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> WrongDatetime:
        return super().fromtimestamp(time.time(), tz)


time.time = lambda: _time() + OFFSET
dt.datetime = WrongDatetime  # type: ignore[misc]
