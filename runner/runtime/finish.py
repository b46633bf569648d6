"""How the child's side commits its attempt's end: once, by whichever thread comes to it."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from runner.engine.report import failure
from runner.errors import FlowFailed, RunHeld, RunnerError, WriteFailed
from runner.runs import ends, unsaved_ends
from runner.runs.results import PATIENCE
from runner.tracebacks import failure_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.backends.base import Storage
    from runner.engine.report import Report
    from runner.engine.scheduler import Engine
    from runner.runs.ends import Claim


class Finalizer:
    """The end of one attempt.

    ``facts`` are the flow's name and the bundle; in the folder ``temporary`` an end is kept that cannot be stored.
    """

    def __init__(
        self, documents: Storage, claim: Claim, facts: dict[str, Any], tell: Callable[..., None], temporary: str
    ) -> None:
        """See the class."""
        self._documents, self._claim, self._facts, self._tell = documents, claim, facts, tell
        self._temporary = temporary
        self._lock = threading.Lock()
        self._last: dict[str, Any] | None = None
        self._order: dict[str, Any] = {}
        self._returned = threading.Event()

    def returned(self) -> None:
        """Take it that the flow came back by itself, so that nobody need end it for it."""
        self._returned.set()

    def heed(self, orders: int, engine: Engine) -> None:
        """Wait for the supervisor's order to stop the flow.

        It has ``state``, ``code``, ``error`` and ``message`` for the end, the ``signal`` if there was one, and in
        ``within`` the seconds in which the flow may come to a safe point; one that does not gets its end from here, as
        far as it is.
        """
        order = os.read(orders, 65536)
        if not order:
            return
        self._order = json.loads(order)
        engine.cancel()
        if (number := self._order["signal"]) and signal.getsignal(number) not in {signal.SIG_DFL, signal.SIG_IGN}:
            os.kill(os.getpid(), number)  # the flow has a handler of its own for it
        if not self._returned.wait(self._order["within"]):
            try:
                self.commit(engine.report())
            except RunnerError as error:
                self._tell(last=failure_message(error))
            finally:
                os._exit(1)  # the last word has the exit code

    def commit(self, report: Report) -> dict[str, Any]:
        """Commit the end, and give the last word on it. Raises RunHeld and WriteFailed."""
        with self._lock:
            if self._last is None:
                self._last = self._commit(report)
            return self._last

    def _commit(self, report: Report) -> dict[str, Any]:
        state = report.state
        last: dict[str, Any]
        if state == "cancelled":
            state = self._order["state"]
            last = {name: self._order[name] for name in ("code", "error", "message")}
        elif report.failed:
            last = failure_message(FlowFailed(failure(report)))
        else:
            outcome = self._documents.url(self._claim.folder.outcome)
            last = {"code": 0, "message": f"run {self._claim.folder.run_id} succeeded: {outcome}"}
        error = {"type": last["error"], "message": last["message"]} if last["code"] else None
        end = {**self._facts, "state": state, "exit_code": last["code"], "error": error, "tasks": report.tasks}
        try:
            ends.end_attempt(
                self._documents, self._claim, end, patience=PATIENCE, announce=lambda token: self._tell(token=token)
            )
        except RunHeld:
            self._tell(claim=None)
            raise
        except RunnerError as refusal:
            self._tell(kept=True)
            unsaved_ends.save(ends.end_document(self._claim, end), self._temporary)
            message = f"the end of the run could not be written: {refusal.message}"
            raise WriteFailed(message, hint=refusal.hint) from refusal
        self._tell(claim=None, last=last)
        unsaved_ends.discard(self._claim, self._temporary)
        return last
