"""Whether a run that succeeded lies in the storage: seen there, before 0 is returned, whatever was answered.

Whoever stands between may answer a write with success and store nothing, and whoever writes there may take it away.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runner.backends.background import Background
from runner.errors import WriteFailed
from runner.model.verdict import Verdict
from runner.runs.documents import is_own
from runner.runs.stored_results import missing_result, missing_signature, result_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runs.store import RunStore

LATE_SECONDS = 5.0  # that a storage may take to show what it has stored, if failures are borne for so long
PAUSE_SECONDS = 0.5  # between two looks


class Confirmation:
    """Looks for the outcome and the results of an attempt, in threads beside what else there is to do at its end.

    Args:
        open_store: opens the run, with the secret by which an end of this start is known.
        attempt: the attempt's number.
    """

    def __init__(self, open_store: Callable[[], RunStore], attempt: int) -> None:
        self._attempt = attempt
        self._opened = Background(open_store)
        self._listing = Background(self._list)
        self.thread = Background(self._look)

    def verdict(self, verdict: Verdict) -> Verdict:
        """Return the verdict on a success: itself, or why it cannot be told as one."""
        try:
            lack = "the storage did not answer before the grace was over"
            if not self.thread.is_alive():
                lack = self.thread.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, 0 is not the answer
            lack = f"it could not be seen that its outcome and its results are stored: {error}"
        if not lack:
            return verdict
        message = f"the flow succeeded, and {lack}"
        hint = "Look who answers in the storage's place, or writes there; runner retry makes again only what is lost."
        return Verdict.of_error(WriteFailed(message, hint=hint), "crashed")

    def _list(self) -> dict[str, int]:
        store = self._opened.result()
        return result_sizes(store, store.layout.results(self._attempt))

    def _look(self) -> str:
        """Return what is wrong with what lies there, as the end of a sentence; empty if it is as it should be.

        Not every storage shows at once what it has stored, least of all where it was asked for that before.
        """
        store = self._opened.result()
        until = time.monotonic() + min(LATE_SECONDS, store.storage.retry_seconds)
        while lack := self._lack(store):
            if time.monotonic() >= until:
                return lack
            time.sleep(PAUSE_SECONDS)
        return ""

    def _lack(self, store: RunStore) -> str:
        """See `_look`: what is wrong now."""
        outcome = store.read_outcome()
        if outcome is None:
            return f"{store.storage.url(store.layout.outcome)} is not there, whatever was answered when it was stored"
        if not is_own(outcome, store.secret) or outcome["attempt"] != self._attempt or outcome["exit_code"]:
            return f"{store.storage.url(store.layout.outcome)} is not what this start wrote"
        listing = self._listing.result()
        if lost := missing_result(store, outcome, listing):
            return f"{lost}, which its outcome lists, is not there or not what was stored"
        if lost := missing_signature(store, outcome, listing):
            return f"{lost}, without which nobody believes that result, is not there"
        return ""
