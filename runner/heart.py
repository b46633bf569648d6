"""What the supervisor does in the storage while an attempt lives: it beats, and ships the log.

Each in a thread of its own with a store of its own, so that a slow upload does not hold up a beat. Storage is loaded
here for the first time, when the flow is about to begin.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.claims import Claim
    from runner.pump import Backlog
    from runner.settings import Settings
    from runner.storage import Location
    from runner.storage.base import Storage

OFTEN = 2.0  # seconds between shipped logs, in the first minute of a run
YOUNG = 60.0  # seconds
PATIENCE = 0.8  # of the time between two beats, for all that one needs
LAST = 10.0  # seconds for the rest of the log when all is over
PATIENTLY = 1.0  # seconds that loading the storage may wait for the flow's first line


class Heart:
    """Beats and ships for one attempt.

    Args:
        settings: with the seconds between beats.
        location: of the storage that holds the run's documents.
        claim: the attempt.
        backlog: the lines of its log.
        superseded: called once with the attempt's end if another one wrote it.
    """

    def __init__(
        self,
        settings: Settings,
        location: Location,
        claim: Claim,
        backlog: Backlog,
        superseded: Callable[[dict[str, Any]], None],
    ) -> None:
        """See the class."""
        self._settings, self._location, self._claim, self._backlog = settings, location, claim, backlog
        self._superseded = superseded
        self._claimed = time.monotonic()
        self._begun, self._over = threading.Event(), threading.Event()
        self._left = LAST  # seconds that shipping may take once it is over
        self._unshipped = b""
        self._beating = threading.Thread(target=self._beat, name="beat", daemon=True)
        self._shipping = threading.Thread(target=self._ship, name="ship", daemon=True)
        self._beating.start()
        self._shipping.start()

    def begun(self) -> None:
        """Take it that the flow runs, and the machine can be used for other things."""
        self._begun.set()

    def stop(self) -> None:
        """Beat no more: the attempt has its end."""
        self._over.set()
        self._begun.set()

    def finish(self) -> bool:
        """Ship the rest of the log; False if it could not be."""
        self.stop()
        self._backlog.close()
        self._shipping.join(self._left + 1)
        return not self._shipping.is_alive() and not self._unshipped

    def _open(self, patience: float | None = None) -> Storage:
        from runner.credentials import resolve
        from runner.storage import open_storage

        credentials = resolve(self._settings.secrets, self._settings.environ)
        return open_storage(self._location, credentials, self._settings.environ, patience=patience)

    def _beat(self) -> None:
        from runner import claims, logs

        interval = self._settings.heartbeat
        self._begun.wait(min(PATIENTLY, interval / 2))
        storage: Storage | None = None
        number, due, troubled = 0, 0.0, False  # at first only the storage is opened
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + interval
            try:
                if storage is None:
                    storage, due = self._open(PATIENCE * interval), self._claimed + interval
                    continue
                if end := claims.given_up(storage, self._claim):
                    self._superseded(end)
                    return
                number += 1
                claims.beat(storage, self._claim, number)
            except RunnerError as error:
                due = time.monotonic() + interval / 3
                if not troubled and not self._over.is_set():
                    logs.logger("run").warning("no beat: %s", error)
                troubled = True
            else:
                troubled = False

    def _ship(self) -> None:
        from runner import claims

        storage: Storage | None = None
        number, young = 1, time.monotonic() + YOUNG
        self._backlog.ship(works=True)
        while True:
            pause = min(OFTEN, self._settings.heartbeat) if time.monotonic() < young else self._settings.heartbeat
            more = self._backlog.wait(pause)
            ended = time.monotonic() + self._left
            while data := self._unshipped or self._backlog.take():
                self._unshipped = data
                try:
                    storage = storage or self._open()
                    claims.ship(storage, self._claim, number, data)
                except RunnerError:
                    self._backlog.ship(works=False)
                    if more or time.monotonic() > ended:
                        break
                    time.sleep(0.5)
                else:
                    self._unshipped = b""
                    number += 1
                    self._backlog.ship(works=True)
            if not more:
                return
