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
    from logging import Logger

    from runner.backends.base import Storage
    from runner.settings import Settings
    from runner.supervisor.backlog import LogBuffer

OFTEN = 2.0  # seconds between shipped logs, in the first minute of a run
YOUNG = 60.0  # seconds
PATIENCE = 0.8  # of the time between two beats, for all that one needs
LAST = 10.0  # seconds for the rest of the log when all is over
AFTER = 0.1  # seconds after which the flow has written its first line
PATIENTLY = 1.0  # seconds that loading the storage may wait for the flow's first line


class Heart:
    """Beats and ships for one attempt.

    Args:
        settings: with the seconds between beats.
        run: where its documents lie: ``scheme``, ``container``, ``home`` and ``run_id``.
        claim: the attempt: its number, when it ``started``, and its ``token``.
        backlog: the lines of its log.
        failed: called once with the reason for which the flow must not go on: RunHeld if another attempt took this
            one for dead.
        log: gives the logger for what goes wrong here.
    """

    def __init__(
        self,
        settings: Settings,
        run: dict[str, Any],
        claim: dict[str, Any],
        backlog: LogBuffer,
        failed: Callable[[BaseException], None],
        log: Callable[[], Logger],
    ) -> None:
        """See the class."""
        self._settings, self._run, self._facts, self._backlog = settings, run, claim, backlog
        self._failed, self._log = failed, log
        self._claimed = time.monotonic()
        self._begun, self._over = threading.Event(), threading.Event()
        self._left = LAST  # seconds that shipping may take once it is over
        self._unshipped = b""
        backlog.ship(works=True)
        self._beating = threading.Thread(target=self._do, args=(self._beat,), name="beat", daemon=True)
        self._shipping = threading.Thread(target=self._do, args=(self._ship,), name="ship", daemon=True)
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
        from runner.backends import open_storage
        from runner.location import Location
        from runner.secrets.named import resolve

        credentials = resolve(self._settings.secrets, self._settings.environ)
        location = Location(self._run["scheme"], self._run["container"], "")
        return open_storage(location, credentials, self._settings.environ, patience=patience)

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except BaseException as error:  # noqa: BLE001 - also obstore's panics, which are no Exceptions
            self._backlog.ship(works=False)  # nobody must wait for a thread that is gone
            self._failed(error)

    def _tell(self, error: RunnerError) -> None:
        """Log it in a thread of its own: where nobody takes the log, the heart must not stop."""
        told = str(error)
        threading.Thread(target=lambda: self._log().warning("no beat: %s", told), daemon=True).start()

    def _beat(self) -> None:
        interval = self._settings.heartbeat
        self._begun.wait(min(PATIENTLY, interval / 2))
        self._over.wait(min(AFTER, interval / 4))
        from runner.runs import claims, ends

        claim = ends.claim_of(self._run, self._facts)
        storage: Storage | None = None
        number, due, troubled = 0, 0.0, False  # at first only the storage is opened
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + interval
            try:
                if storage is None:
                    storage, due = self._open(PATIENCE * interval), self._claimed + interval
                    continue
                if end := ends.lost_end(storage, claim):
                    self._failed(ends.run_held_elsewhere(end))
                    return
                number += 1
                claims.write_heartbeat(storage, claim, number)
            except RunnerError as error:
                due = time.monotonic() + interval / 3
                if not troubled and not self._over.is_set():
                    self._tell(error)
                troubled = True
            else:
                troubled = False

    def _ship(self) -> None:
        self._begun.wait(PATIENTLY)
        self._over.wait(AFTER)
        from runner.runs import claims, ends

        claim = ends.claim_of(self._run, self._facts)
        storage: Storage | None = None
        number, young = 1, time.monotonic() + YOUNG
        while True:
            pause = min(OFTEN, self._settings.heartbeat) if time.monotonic() < young else self._settings.heartbeat
            more = self._backlog.wait(pause)
            ended = time.monotonic() + self._left
            while data := self._unshipped or self._backlog.take():
                self._unshipped = data
                try:
                    storage = storage or self._open()
                    claims.write_log_part(storage, claim, number, data)
                except RunnerError:
                    self._backlog.ship(works=False)
                    if not self._over.wait(min(pause, OFTEN)):
                        break
                    time.sleep(0.5)
                    if more or time.monotonic() > ended:
                        break
                else:
                    self._unshipped = b""
                    number += 1
                    self._backlog.ship(works=True)
            if not more:
                return
