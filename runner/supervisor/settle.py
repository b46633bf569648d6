"""What is written when the flow's process is gone: the attempt's end, if it has none, and the last line of the log."""

from __future__ import annotations

import math
import time
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from runner.backends.background import Background
from runner.errors import InternalError, RunHeld, RunnerError, WriteFailed
from runner.model.verdict import Verdict
from runner.supervisor.backlog import log_entry
from runner.supervisor.log_tee import LogTee

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from logging import Logger

    from runner.runs.ends import RunFacts
    from runner.runs.layout import Claim
    from runner.runs.store import RunStore
    from runner.settings import Settings
    from runner.signing.run_signatures import RunSigner
    from runner.supervisor.backlog import LogBuffer
    from runner.supervisor.child_report import ChildReport
    from runner.supervisor.confirmation import Confirmation
    from runner.supervisor.exit_status import ExitStatus
    from runner.supervisor.heartbeat import Heartbeat
    from runner.supervisor.log_shipper import LogShipper


LEAST_SECONDS = 1.5  # to write the end in, also where the grace is over
PROMPT_SECONDS = 0.5  # after which an end that is under way is printed and kept first, and the log is given up
LOOK_SECONDS = 0.1  # between two looks whether somebody asked to stop meanwhile


class Settlement:
    """Settles one start, when the flow's process is gone.

    Args:
        settings: of this process.
        environ: its environment.
        log_to: the stream to log to.
        report: what the flow's process has told.
        buffer: the lines of its log.
        secret: bytes that only that process and this one know, by which its end is known.
        left: returns the seconds that are left, once somebody has asked to stop; None before.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        log_to: TextIO,
        report: ChildReport,
        buffer: LogBuffer,
        secret: bytes,
        left: Callable[[], float | None],
    ) -> None:
        self._settings, self._environ, self._log_to = settings, environ, log_to
        self._report, self._buffer, self._secret, self._left = report, buffer, secret, left
        self._is_saved = False  # the end was printed, and saved aside, by this process

    def open_log(self) -> Logger:
        """Return the logger of the supervisor's own lines."""
        from runner import logs

        logs.configure(LogTee(self._log_to, self._buffer), self._settings.log_level, self._settings.log_format)
        return logs.logger("run")

    def verdict(self, status: ExitStatus, kills: int | None, failure: BaseException | None) -> Verdict:
        """Return the verdict on the start: the child's own, or what its death means.

        ``kills`` is how many processes the kernel had killed for memory before it began; ``failure`` is why the
        supervisor killed it, if it did.
        """
        report = self._report
        is_committed = report.claim is None
        if report.verdict is not None and (is_committed or failure is None):
            if report.verdict.exit_code == 0 and not is_committed:  # a flow garbled what was told; the storage is asked
                message = "it is not known how the run ended"
                return Verdict("crashed", InternalError.code, message, "InternalError")
            if is_committed and status.was_killed_at_last:
                message = (
                    f"{report.verdict.message}; threads or atexit functions that it left did not end and were killed"
                )
                return report.verdict._replace(message=message)
            return report.verdict
        from runner import cgroup

        if failure:
            known = failure if isinstance(failure, RunnerError) else cgroup.process_limit_error(failure)
            error = known or InternalError(f"a bug in runner: {failure!r}", hint="Please report it.")
            is_crash = report.has_begun or isinstance(error, InternalError | WriteFailed)
            return Verdict.of_error(error, "crashed" if is_crash else "refused")
        return status._replace(memory=cgroup.describe_oom_kill(kills)).verdict

    def conclude(
        self,
        verdict: Verdict,
        failure: BaseException | None,
        heartbeat: Heartbeat | None,
        shipper: LogShipper | None,
        confirmation: Confirmation | None = None,
    ) -> int:
        """End the attempt if it was left without an end, log how it all ended, once, and return the exit code.

        What succeeded is told here only when it was seen in the storage; the log there says meanwhile what its outcome
        says, so that the look costs no time.
        """
        from runner import logs

        log, report = self.open_log(), self._report
        if report.place:
            logs.run_context(run_id=report.place.run_id, flow=report.flow)
        if report.attempt:
            logs.run_context(attempt=report.attempt)
        is_ours = not isinstance(failure, RunHeld)
        if report.claim and is_ours:
            verdict = self._end(report.claim, verdict, log)
        if heartbeat:
            heartbeat.stop_beating()  # only now: until its end is there, an attempt without a beat is taken for dead
        must_be_seen = verdict.exit_code == 0 and report.attempt is not None and is_ours
        if must_be_seen:
            confirmation = confirmation or self.confirm(shipper)
            logs.configure(LogTee(StringIO(), self._buffer), self._settings.log_level, self._settings.log_format)
        _tell(log, verdict)
        is_shipped = True
        if shipper and is_ours:
            self._buffer.add(log_entry(f"the log of attempt {report.attempt} ends", last=True))
            shipper.close()
            self._wait_for(shipper.thread, PROMPT_SECONDS)
            is_shipped = shipper.has_shipped_all
        logs.configure(self._log_to, self._settings.log_level, self._settings.log_format)  # what follows is not shipped
        if must_be_seen and confirmation:
            self._wait_for(confirmation.thread, LEAST_SECONDS)
            verdict = confirmation.verdict(verdict)
            _tell(log, verdict)
        if not is_shipped:
            log.warning("the end of the log could not be shipped to the storage")
        return verdict.exit_code

    def _end(self, claim: Claim, verdict: Verdict, log: Logger) -> Verdict:
        """Write the end of an attempt that was left without one, and return the verdict that stands then."""
        writing = Background(lambda: self._write_end(claim, verdict))
        try:
            if not self._wait_for(writing, PROMPT_SECONDS, PROMPT_SECONDS):
                self._save_aside(claim, verdict)
                if not self._wait_for(writing, LEAST_SECONDS):
                    raise WriteFailed("the storage did not answer before the grace was over")  # noqa: TRY301
            return writing.result()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the last word must still be said
            log.warning("the attempt's end could not be written: %s", error)
            return self._end_not_written(claim, verdict, error) if isinstance(error, RunnerError) else verdict

    def _wait_for(self, thread: threading.Thread, least: float, most: float = math.inf) -> bool:
        """Wait until a thread has ended; once somebody asked to stop, at most for what is left of the grace.

        Then ``least`` seconds are given in any case, and no more than ``most``.
        """
        began, asked = time.monotonic(), None
        while thread.is_alive():
            now, left = time.monotonic(), self._left()
            if left is not None:
                asked = asked or now
                if now >= min(max(now + left, began + least), asked + most):
                    return False
            thread.join(LOOK_SECONDS)
        return True

    def _save_aside(self, claim: Claim, verdict: Verdict) -> None:
        """Print the end, and save it where it can be kept, unless the flow's process has done so."""
        place = self._report.place
        if self._is_saved or self._report.is_end_saved or not place:
            return
        from runner.runs import unsaved_ends
        from runner.runs.ends import end_document

        self._is_saved = True
        end = end_document(place.run_id, claim, self._facts(), verdict, signer=self._signer())
        unsaved_ends.save(end, self._settings.temporary)

    def _write_end(self, claim: Claim, verdict: Verdict) -> Verdict:
        """Write the end of the attempt, or find the one that the child committed before it died.

        Returns the verdict of the one that stands.
        """
        from runner.runs.ends import finish_dead_attempt

        store = self.open_store()
        stands = finish_dead_attempt(store, claim, self._facts(), verdict, self._secret)
        if stands is None or stands["error"] == verdict.error_record:
            return verdict
        error = stands["error"]
        message = error["message"] if error else f"run {store.run_id} {stands['state']}"
        return Verdict(stands["state"], stands["exit_code"], message, error["type"] if error else None)

    def _end_not_written(self, claim: Claim, verdict: Verdict, error: RunnerError) -> Verdict:
        """Save an end that cannot be stored where it can be kept, and return the verdict that this start has then."""
        if isinstance(error, RunHeld):
            return Verdict("lost", error.code, error.message, "RunHeld")
        self._save_aside(claim, verdict)
        if verdict.exit_code == WriteFailed.code:
            return verdict
        message = f"{verdict.message}; and the end of the run could not be written: {error}"
        return Verdict(verdict.state, WriteFailed.code, message, "WriteFailed")

    def open_store(self, patience: float | None = None) -> RunStore:
        """Open the run, with what its ends are signed and known by. Raises what `open_storage` raises."""
        from runner.runs.store import open_run_store

        assert self._report.place is not None  # noqa: S101 - told before any claim
        store = open_run_store(
            self._report.place, self._settings, signer=self._signer(), secret=self._secret, patience=patience
        )
        if patience is None and not self._report.is_end_saved:  # else the flow's process has borne it for so long
            store.storage.bear(self._settings.patience)
        return store

    def confirm(self, shipper: LogShipper | None) -> Confirmation:
        """Begin to look whether outcome and results of the attempt are in the storage.

        Its connection is the log's, if there is one: to open another would keep the end waiting.
        """
        from runner.supervisor.confirmation import Confirmation

        assert self._report.attempt is not None  # noqa: S101 - told with its claim
        open_store = self.open_store if shipper is None else lambda: self._beside(shipper.store())
        return Confirmation(open_store, self._report.attempt)

    def _beside(self, other: RunStore) -> RunStore:
        """Return the run in a storage that is open, with what its ends are signed and known by."""
        from runner.runs.store import RunStore

        if not self._report.is_end_saved:
            other.storage.bear(self._settings.patience)
        return RunStore(other.storage, other.layout, self._signer(), self._secret)

    def _facts(self) -> RunFacts:
        from runner.runs.ends import RunFacts

        assert self._report.bundle is not None  # noqa: S101 - told before any claim
        return RunFacts(self._report.flow, self._report.bundle)

    def _signer(self) -> RunSigner | None:
        if self._report.request_digest is None:
            return None
        from runner.signing.run_signatures import RunSigner

        return RunSigner(self._report.request_digest, self._settings.signing_key, self._settings.trusted_keys)


def _tell(log: Logger, verdict: Verdict) -> None:
    """Log how a start ended."""
    from runner import logs

    details: dict[str, object] = {"code": verdict.exit_code}
    if verdict.error is not None:
        details["error"] = verdict.error
    if exception := (verdict.death["trace"] if verdict.death else None) or verdict.exception:
        details["exception"] = exception
    log.log(logs.ERROR if verdict.exit_code else logs.INFO, "%s", verdict.message, extra=details)
