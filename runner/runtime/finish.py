"""How the flow's process commits its attempt's end: once, by whichever thread comes to it."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from runner.engine.report import failure
from runner.errors import FlowFailed, InternalError, RunHeld, RunnerError, WriteFailed
from runner.model.verdict import Verdict
from runner.runs.ends import commit_end, end_document
from runner.runtime.own_usage import network, own_usage

if TYPE_CHECKING:
    from runner.engine.progress import ProgressMeter
    from runner.engine.report import Report
    from runner.engine.scheduler import Engine
    from runner.runs.ends import RunFacts
    from runner.runs.layout import Claim
    from runner.runs.store import RunStore
    from runner.runtime.channel import Channel
    from runner.runtime.messages import StopOrder
    from runner.schema.documents import EndDocument

PROGRESS_SHARE = 0.4  # of the time between two heartbeats, after which it is told anew how far the flow is
COMMIT_SHARE = 0.125  # of the time to come to a safe point, after it: in which the end is written, or else printed


class Finalizer:
    """Commits the end of one attempt.

    Args:
        store: the run.
        claim: the attempt.
        facts: the flow's name and the bundle.
        channel: to the supervisor.
        temporary: the folder in which an end is saved that cannot be stored.
    """

    def __init__(self, store: RunStore, claim: Claim, facts: RunFacts, channel: Channel, temporary: str) -> None:
        self._store, self._claim, self._facts, self._channel = store, claim, facts, channel
        self._temporary = temporary
        self._lock, self._aside = threading.Lock(), threading.Lock()
        self._verdict: Verdict | None = None
        self._order: StopOrder | None = None
        self._returned = threading.Event()
        self._end: EndDocument | None = None  # as soon as there is one
        self._network = network()
        self._progress: ProgressMeter | None = None
        self._settled = threading.Event()  # it is stored, or another's, or saved aside

    def flow_returned(self) -> None:
        """Record that the flow returned on its own; no forced end is needed."""
        self._returned.set()

    def watch_orders(self, engine: Engine, heartbeat: float) -> None:
        """Wait for the supervisor's order to stop the flow, and end a flow that comes to no safe point in time.

        Such a flow gets its end from here, as far as it is. Meanwhile the supervisor is told for each of its
        heartbeats how far the flow is.
        """
        order = self._channel.wait_for_order(partial(self._tell_progress, engine), heartbeat * PROGRESS_SHARE)
        if order is None:
            return
        self._order = order
        over = time.monotonic() + order["within"] * (1 + COMMIT_SHARE)
        if order["signal"] is not None:  # whoever sent it kills what has not ended in time
            self._store.storage.end_within(over - time.monotonic())
        engine.cancel()
        if order["signal"] and signal.getsignal(order["signal"]) not in {signal.SIG_DFL, signal.SIG_IGN}:
            os.kill(os.getpid(), order["signal"])  # the flow has a handler of its own for it
        if not self._returned.wait(order["within"]):
            threading.Thread(target=self._force, args=(engine,), daemon=True).start()
        if not self._settled.wait(over - time.monotonic()) and self._end is not None:
            self._save_aside(self._end)

    def _tell_progress(self, engine: Engine) -> None:
        if self._progress is None:
            from runner.engine.progress import ProgressMeter

            self._progress = ProgressMeter(engine.graph)
        with suppress(Exception):  # whatever it is, an order is still to be heard
            self._channel.send({"kind": "progress", "progress": self._progress.read()})

    def _force(self, engine: Engine) -> None:
        """Commit the end of a flow as far as it is, and end the process."""
        try:
            self.commit(engine.report())
        except RunnerError as error:
            self._channel.send({"kind": "finished", "verdict": Verdict.of_error(error, "crashed")})
        finally:
            os._exit(1)  # the verdict has the exit code

    def commit(self, report: Report) -> Verdict:
        """Commit the end, and return the verdict in it. Raises RunHeld and WriteFailed."""
        with self._lock:
            if self._verdict is None:
                self._verdict = self._commit(report)
            return self._verdict

    def _commit(self, report: Report) -> Verdict:
        verdict = self._verdict_on(report)._replace(usage=own_usage(self._network))
        end = end_document(
            self._store.run_id,
            self._claim,
            self._facts,
            verdict,
            report.tasks,
            self._store.signer,
            self._channel.secret,
        )
        self._end = end
        try:
            commit_end(self._store, end)
        except RunHeld:
            self._settled.set()
            self._channel.send({"kind": "attempt ended", "verdict": None})
            raise
        except RunnerError as refusal:
            self._save_aside(end)
            message = f"the end of the run could not be written: {refusal.message}"
            raise WriteFailed(message, hint=refusal.hint) from refusal
        self._channel.send({"kind": "attempt ended", "verdict": verdict})
        with self._aside:
            was_saved = self._settled.is_set()
            self._settled.set()
        if was_saved or self._claim.attempt > 1:
            from runner.runs import unsaved_ends

            unsaved_ends.discard(self._store.run_id, self._claim.attempt + was_saved, self._temporary)
        return verdict

    def _save_aside(self, end: EndDocument) -> None:
        """Print an end that is not stored, or not yet, and save it in the temporary folder."""
        with self._aside:
            if not self._settled.is_set():
                self._settled.set()
                self._channel.send({"kind": "end saved aside"})
                from runner.runs import unsaved_ends

                unsaved_ends.save(end, self._temporary)

    def _verdict_on(self, report: Report) -> Verdict:
        if report.state == "cancelled":
            if self._order is None:
                message = "the flow was cancelled, and nobody ordered that"
                raise InternalError(message, hint="Please report it.")
            return self._order["verdict"]
        if report.failed:
            return Verdict.of_error(FlowFailed(failure(report)), "failed")
        outcome = self._store.storage.url(self._store.layout.outcome)
        return Verdict("succeeded", 0, f"run {self._store.run_id} succeeded: {outcome}")
