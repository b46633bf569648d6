"""The heartbeat: shows in the storage that an attempt lives, and notices when another one took it for dead.

It has a thread and a store of its own, so that a slow upload does not hold it up. Storage is loaded here for the first
time, when the flow is about to begin.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from runner.errors import BundleCorrupt, RunnerError, TooLarge, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from runner.runs.layout import Claim
    from runner.runs.store import RunStore
    from runner.schema.documents import CancelRecord
    from runner.schema.progress import HeartbeatNews
    from runner.settings import Settings

REQUEST_SHARE = 0.8  # of the time between two heartbeats, for all requests that one needs
FIRST_LINE_SECONDS = 1.0  # that loading the storage may wait for the flow's first line
SETTLE_SECONDS = 0.1  # after which the flow has written its first line


class Heartbeat:
    """Shows that one attempt lives.

    Args:
        settings: with the seconds between heartbeats.
        claim: the attempt.
        on_cancel: called once when somebody has asked for the run to end.
        on_failure: called once with the reason for which the flow must not go on: RunHeld if another attempt took this
            one for dead, Untrusted if somebody else wrote its end.
        read_news: returns what the heartbeat carries for people; called once more when the flow has begun.
        open_store: opens the run, with the patience that it is given.
        open_log: returns the logger for what goes wrong here.
    """

    def __init__(
        self,
        settings: Settings,
        claim: Claim,
        on_cancel: Callable[[CancelRecord], None],
        on_failure: Callable[[BaseException], None],
        read_news: Callable[[], HeartbeatNews],
        open_store: Callable[[float | None], RunStore],
        open_log: Callable[[], Logger],
    ) -> None:
        self._settings, self._claim = settings, claim
        self._on_cancel, self._on_failure = on_cancel, on_failure
        self._read_news = read_news
        self._open_store, self._open_log = open_store, open_log
        self._is_told = False  # of a request to end the run
        self._claimed = time.monotonic()
        self._started, self._stopped = threading.Event(), threading.Event()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def on_started(self) -> None:
        """Signal that the flow's first line has run; background work may start."""
        self._started.set()

    def stop_beating(self) -> None:
        """Write no more heartbeats: the attempt has its end."""
        self._stopped.set()
        self._started.set()

    def _run(self) -> None:
        try:
            self._beat()
        except BaseException as error:  # noqa: BLE001 - also obstore's panics, which are no Exceptions
            self._on_failure(error)

    def _beat(self) -> None:
        interval = self._settings.heartbeat
        self._started.wait(min(FIRST_LINE_SECONDS, interval / 2))
        self._stopped.wait(min(SETTLE_SECONDS, interval / 4))
        from runner.runs.ends import lost_end, run_held_elsewhere

        store: RunStore | None = None
        number, due, is_troubled = 0, 0.0, False  # at first only the storage is opened
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + interval
            trouble: RunnerError | None = None
            try:
                if store is None:
                    store = self._open_store(REQUEST_SHARE * interval)
                    due = self._claimed + interval
                    self._read_news()
                    continue
                number += 1
                store.write_heartbeat(self._claim, number, self._read_news())
            except RunnerError as error:
                trouble, due = error, time.monotonic() + interval / 3
            try:  # after the beat, so that a read which hangs does not hold it up
                if store and (lost := lost_end(store, self._claim.attempt)):
                    self._on_failure(run_held_elsewhere(lost))
                    return
            except Untrusted as error:
                self._on_failure(error)
                return
            except RunnerError as error:
                trouble = trouble or error
            self._look_for_cancel(store)
            if trouble and not is_troubled and not self._stopped.is_set():
                self._warn(f"no beat: {trouble}")
            is_troubled = trouble is not None

    def _look_for_cancel(self, store: RunStore | None) -> None:
        """Pass on, once, that somebody has asked for the run to end; warn of a request that may not be heard."""
        if store is None or self._is_told:
            return
        try:
            cancel = store.read_cancel()
        except (BundleCorrupt, TooLarge, Untrusted) as error:
            self._warn(f"a request to end the run is not heard: {error}")
            self._is_told = True
        except RunnerError:  # the next beat looks again
            return
        else:
            self._is_told = cancel is not None
            if cancel:
                self._on_cancel({"by": cancel["by"], "requested": cancel["requested"], "why": cancel["why"]})

    def _warn(self, message: str) -> None:
        """Log in a thread of its own: where nobody takes the log, the heartbeat must not stop."""
        threading.Thread(target=lambda: self._open_log().warning("%s", message), daemon=True).start()
