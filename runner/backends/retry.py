"""How long a storage's failures are borne, and how it is asked meanwhile: with full jitter, by one thread for all.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from runner.errors import BucketMissing, CredentialsRefused, NotFound, RunnerError, TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.1  # at most; each pause after it may take twice as long as the one before
LONGEST_PAUSE_SECONDS = 5.0
PAUSE_SHARE = 0.25  # of the time in which tries may begin: no pause is longer
START_SECONDS = 8.0  # in which a try may begin until a run has begun: an endpoint that is down is given up within 15 s
ANSWER_SECONDS = 15.0  # that an answer may take; once one took longer, twice as long
SLOWEST_ANSWER = 10_000  # bytes a second that the body of an answer brings at the least, beside these seconds
LISTING_SECONDS = 20.0  # that a listing may take of which nothing is seen before its end: then its pages are looked at
PART_SHARE = 0.5  # of these seconds: how long a part of an upload is sent again, before all of it is
REQUEST_SHARE = 0.3  # of a storage's patience: what one request may take, so that there is time for one twice as long
RETRIES_SHARE = 0.95  # of it: when the last one must be over


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


class Patient:
    """A storage as far as it bears failures; all of its threads know what one of them finds out.

    Args:
        patience: seconds that a small request may take with its retries; None: tries begin in `retry_seconds`.
    """

    retry_seconds = 0.0  # in which a try may begin

    def __init__(self, patience: float | None) -> None:
        self.patience = patience
        self._retries = Retries()
        self._is_slow = False  # an answer took longer than an answer should
        self._has_time = True  # for an answer that takes twice as long
        self._has_worked = self._bears_refusals = self._is_refused = False

    def bear(self, seconds: float) -> None:
        """Bear failures for so long from now on, as a run has begun: what was allowed before, and is refused, as well.

        Then the credentials are asked for anew: they may have been replaced.
        """
        self.retry_seconds, self._bears_refusals, self._has_worked = seconds, True, True

    def end_within(self, seconds: float) -> None:
        """Begin no try later than so many seconds from now."""
        self._retries.end_within(seconds)

    @property
    def answer_seconds(self) -> float:
        """Seconds that an answer may take."""
        seconds = ANSWER_SECONDS if self.patience is None else self.patience * REQUEST_SHARE
        return 2 * seconds if self._is_slow and self._has_time else seconds

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Learn from one request whether this storage needs more time for its answers."""
        try:
            yield
        except TooSlow:
            self._is_slow = True
            raise

    def _retry_small(self, action: Callable[[], T], requests: int = 1) -> T:
        """Retry what moves few bytes; ``requests`` is how many requests the action makes.

        Where there is a time budget, all is over within it.
        """
        if self.patience is None:
            return self.persistently(action)
        self._has_time = requests == 1
        return self._retry(action, self.patience * (RETRIES_SHARE - 2 * REQUEST_SHARE), one_more=False)

    def persistently(self, action: Callable[[], T]) -> T:
        """Retry several requests as one, as long as failures are borne here; only what may pass is tried again."""
        return self._retry(action, self.retry_seconds)

    def _retry(self, action: Callable[[], T], seconds: float, *, one_more: bool = True) -> T:
        """See `Retries.persistently`; the last error's message says how often and how long."""
        tries, began = 0, time.monotonic()

        def attempt() -> T:
            nonlocal tries
            tries += 1
            if self._is_refused:
                self._is_refused = False
                with suppress(RunnerError):
                    self._renew_credentials()
            try:
                answer = action()
            except CredentialsRefused:
                self._is_refused = self._has_worked
                raise
            self._has_worked = True
            return answer

        try:
            return self._retries.persistently(attempt, seconds, self._may_pass, one_more=one_more)
        except RunnerError as error:
            if tries == 1:
                raise
            message = f"{error.message} ({tries} tries in {time.monotonic() - began:.1f} s)"
            raise error.with_message(message) from error.__cause__

    def _may_pass(self, error: RunnerError) -> bool:
        return error.transient or (self._bears_refusals and isinstance(error, CredentialsRefused))

    def _renew_credentials(self) -> None:
        """Ask for credentials anew, as those that had worked are refused."""


def _random() -> float:
    """Return a number from 0 to 1; the module of that name would cost every start its import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


@contextmanager
def absence_passed_over() -> Iterator[None]:
    """Leave the block where an object is not there; that a bucket is not there remains an error."""
    try:
        yield
    except BucketMissing:
        raise
    except NotFound:
        pass
