"""The log shipper: stores an attempt's log part by part while it runs, in a thread and with a store of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.supervisor.heartbeat import FIRST_LINE_SECONDS, SETTLE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runs.layout import RunPlace
    from runner.runs.store import RunStore
    from runner.settings import Settings
    from runner.supervisor.backlog import LogBuffer

OFTEN_SECONDS = 2.0  # between shipped parts, in the first minute of a run
YOUNG_SECONDS = 60.0
LAST_SECONDS = 10.0  # for the rest of the log when all is over
RETRY_SECONDS = 0.5  # between tries at the rest of the log


class LogShipper:
    """Ships the log of one attempt.

    Args:
        settings: with the seconds between heartbeats, which are those between parts later on.
        place: where the run lies.
        attempt: its number.
        buffer: the lines.
        on_failure: called once with the reason for which the flow must not go on.
    """

    def __init__(
        self,
        settings: Settings,
        place: RunPlace,
        attempt: int,
        buffer: LogBuffer,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._settings, self._place, self._attempt, self._buffer = settings, place, attempt, buffer
        self._on_failure = on_failure
        self._started, self._stopped = threading.Event(), threading.Event()
        self._unshipped = b""
        self._store: RunStore | None = None
        self._opening = threading.Lock()
        buffer.set_shipping(works=True)
        self.thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)
        self.thread.start()

    def store(self) -> RunStore:
        """Return the store that the log goes to, which is opened when it is first asked for; raises what that does."""
        with self._opening:
            if self._store is None:
                from runner.runs.store import open_run_store

                self._store = open_run_store(self._place, self._settings)
            return self._store

    def on_started(self) -> None:
        """Signal that the flow's first line has run; background work may start."""
        self._started.set()

    def on_ended(self) -> None:
        """Signal that the attempt has its end: what is left is shipped at once."""
        self._stopped.set()
        self._started.set()

    def close(self) -> None:
        """Ship the rest of the log, and end; within `LAST_SECONDS`, but for a request that is under way then."""
        self.on_ended()
        self._buffer.close()

    @property
    def has_shipped_all(self) -> bool:
        """Whether nothing is left to ship."""
        return not self.thread.is_alive() and not self._unshipped

    def _run(self) -> None:
        try:
            self._ship()
        except BaseException as error:  # noqa: BLE001 - also obstore's panics, which are no Exceptions
            self._buffer.set_shipping(works=False)  # nobody must wait for a thread that is gone
            self._on_failure(error)

    def _ship(self) -> None:
        self._started.wait(FIRST_LINE_SECONDS)
        self._stopped.wait(SETTLE_SECONDS)
        part, young_until = 1, time.monotonic() + YOUNG_SECONDS
        is_open = True
        while is_open:
            is_young = time.monotonic() < young_until
            pause = min(OFTEN_SECONDS, self._settings.heartbeat) if is_young else self._settings.heartbeat
            is_open = self._buffer.wait(pause)
            deadline = time.monotonic() + LAST_SECONDS
            while data := self._unshipped or self._buffer.take():
                self._unshipped = data
                try:
                    self.store().write_log_part(self._attempt, part, data)
                except RunnerError:
                    self._buffer.set_shipping(works=False)
                    if not self._may_retry_at_once(pause, deadline, is_open=is_open):
                        break
                else:
                    self._unshipped = b""
                    part += 1
                    self._buffer.set_shipping(works=True)

    def _may_retry_at_once(self, pause: float, deadline: float, *, is_open: bool) -> bool:
        """Wait after a failure; while the run lasts there is a next time, then the rest is tried until a deadline."""
        if not self._stopped.wait(min(pause, OFTEN_SECONDS)):
            return False
        time.sleep(RETRY_SECONDS)
        return not is_open and time.monotonic() <= deadline
