"""What became of a flow's process that ended without a word, as its attempt's end tells it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Literal, NamedTuple

from runner.errors import FlowFailed
from runner.model.verdict import Verdict
from runner.process import STOP_SIGNALS, signal_name
from runner.runtime.own_usage import usage_record
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from resource import struct_rusage

    from runner.schema.documents import CancelRecord, DeathRecord
    from runner.schema.progress import UsageRecord, UsageSeries

LONGEST = 4000  # characters of a trace, or of the last lines
TIMED_OUT = Verdict("timed_out", 124, "the run took longer than RUNNER_TIMEOUT", "TimedOut")
_LAST: tuple[Literal["read", "written", "received", "sent"], ...] = ("read", "written", "received", "sent")
_REMEDIES = {
    "SIGSEGV": "Native code did this, or recursion in it: the trace shows where; update or pin that library.",
    "SIGBUS": "Native code did this, or a file that shrank while it was mapped: the trace shows where.",
    "SIGFPE": "Native code did this: the trace shows where.",
    "SIGILL": "A library was built for another processor than this one: the trace shows which.",
    "SIGABRT": "Native code gave up: what it said before is in the log.",
    "SIGXCPU": "It used more processor time than the limit (ulimit -t) allows.",
    "SIGXFSZ": "It wrote a larger file than the limit (ulimit -f) allows.",
    "SIGSYS": "It made a system call that this container does not allow.",
}


def cancelled(number: int, cancel: CancelRecord | None = None) -> Verdict:
    """Return the verdict on a run that a signal asked to stop or, where ``cancel`` tells of it, somebody did."""
    if cancel:
        return Verdict.of_cancel(cancel)
    return Verdict("cancelled", 128 + number, f"the run was asked to stop by {signal_name(number)}", "Cancelled")


class ExitStatus(NamedTuple):
    """How the process ended.

    Args:
        status: as wait(2) gives it.
        stop_signal: the signal that asked it to stop, if one did.
        timed_out: whether its time was over.
        trace: faulthandler's.
        tail: the last lines of its log.
        used: what it has used.
        memory: what the kernel says of a kill for memory, if it says any such thing.
        cancel: who asked for the run to end, if somebody did.
    """

    status: int
    stop_signal: int | None = None
    timed_out: bool = False
    trace: str = ""
    tail: Sequence[str] = ()
    used: struct_rusage | None = None
    memory: str | None = None
    cancel: CancelRecord | None = None

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None

    @property
    def was_killed_at_last(self) -> bool:
        """Whether it was asked to stop, and had to be killed."""
        return self.signal == signal.SIGKILL and (self.timed_out or self.stop_signal is not None)

    @property
    def verdict(self) -> Verdict:
        """State, exit code and reason."""
        if self.timed_out:
            return TIMED_OUT
        stopped_by = self.stop_signal or (self.signal if self.signal in STOP_SIGNALS else None)
        if stopped_by is not None:
            return cancelled(stopped_by, self.cancel)
        if self.signal is not None:
            message = f"the flow's process was ended by {signal_name(self.signal)}{self._reason()}"
            return Verdict("crashed", 128 + self.signal, message, "Crashed", death=self._death())
        code = os.waitstatus_to_exitcode(self.status)
        message = f"the flow ended its own process, with exit status {code}"
        return Verdict("failed", FlowFailed.code, message, "FlowFailed", death=self._death())

    def _reason(self) -> str:
        """Return why, and what to do about it; of SIGKILL only the kernel knows whether it was for memory."""
        if self.signal == signal.SIGKILL:
            return f": {self.memory or 'not for memory, so somebody, or the platform, killed it'}"
        number = self.signal or 0
        remedy = _REMEDIES.get(signal.Signals(number).name, "") if number in set(signal.Signals) else ""
        return f". {remedy}" if remedy else ""

    @property
    def _peak(self) -> int | None:
        return self.used.ru_maxrss * 1024 or None if self.used else None

    def usage(self, series: UsageSeries | None) -> UsageRecord | None:
        """Return what the attempt has used, of which its last heartbeats tell some."""
        if self.used is None:
            return None
        last = {name: series[name][-1] for name in _LAST} if series else dict.fromkeys(_LAST)
        files, net = (last["read"], last["written"]), (last["received"], last["sent"])
        return usage_record(self.used.ru_utime + self.used.ru_stime, self._peak, files, net)

    def _death(self) -> DeathRecord:
        return {
            "trace": redact(_failed_thread_first(self.trace))[:LONGEST] or None,
            "log": "\n".join(self.tail)[-LONGEST:],
            "peak_memory": self._peak,
            "memory": self.memory,
        }


def _failed_thread_first(trace: str) -> str:
    """Put what faulthandler says of the thread at fault before what it says of the others."""
    head, *threads = trace.split("\n\n")
    return "\n\n".join([head, *sorted(threads, key=lambda thread: not thread.startswith("Current thread"))])
