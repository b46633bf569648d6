"""How long a start may take, how often a run is launched, and which ends make another launch pointless."""

from __future__ import annotations

from typing import NamedTuple

# Ends of starts that would be no better the next time: bundle, flow, image, credentials, settings, trust.
HOPELESS_CODES = frozenset({2, 65, 66, 76, 77, 78, 79})
START_SECONDS = 600.0  # in which what a platform has begun to start must have claimed its attempt


class Budgets(NamedTuple):
    """How long a start may take, and how often one is made again.

    Args:
        start_timeout: seconds until a launch has claimed its attempt, those in a platform's queue among them; None for
            `START_SECONDS` without these.
        start_retries: launches more, where one never began.
        restarts: launches more, where one began and died.
    """

    start_timeout: float | None = None
    start_retries: int = 2
    restarts: int = 0
