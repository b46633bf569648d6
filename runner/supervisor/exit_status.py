"""What became of a flow's process that ended without a word, as its attempt's end tells it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import Any

from runner.process import STOP_SIGNALS, signal_name

LONGEST = 4000  # characters of a trace, or of the last lines
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


@dataclass(frozen=True)
class ExitStatus:
    """How the process ended.

    ``status`` is as wait(2) gives it, ``asked`` the signal that asked it to stop, ``late`` whether its time was over.
    ``trace`` is faulthandler's, ``tail`` the last lines of its log, ``peak`` the bytes of memory it used at the most,
    ``memory`` what the kernel says of a kill for memory, if it says any such thing.
    """

    status: int
    asked: int | None = None
    late: bool = False
    trace: str = ""
    tail: list[str] = field(default_factory=list)
    peak: int | None = None
    memory: str | None = None

    @property
    def signal(self) -> int | None:
        """The signal that ended it."""
        return os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else None

    def verdict(self) -> dict[str, Any]:
        """Give state, exit code and reason."""
        asked = self.asked or (self.signal if self.signal in STOP_SIGNALS else None)
        if self.late:
            return verdict("timed_out", 124, "TimedOut", "the run took longer than RUNNER_TIMEOUT")
        if asked is not None:
            return verdict("cancelled", 128 + asked, "Cancelled", stop_reason(asked))
        if self.signal is not None:
            message = f"the flow's process was ended by {signal_name(self.signal)}{self._reason()}"
            return verdict("crashed", 128 + self.signal, "Crashed", message) | {"death": self._facts()}
        code = os.waitstatus_to_exitcode(self.status)
        message = f"the flow ended its own process, with exit status {code}"
        return verdict("failed", 1, "FlowFailed", message) | {"death": self._facts()}

    def _reason(self) -> str:
        """Say why, and what to do about it; of SIGKILL only the kernel knows whether it was for memory."""
        if self.signal == signal.SIGKILL:
            return f": {self.memory or 'not for memory, so somebody, or the platform, killed it'}"
        number = self.signal or 0
        remedy = _REMEDIES.get(signal.Signals(number).name, "") if number in set(signal.Signals) else ""
        return f". {remedy}" if remedy else ""

    def _facts(self) -> dict[str, Any]:
        return {
            "trace": _most_telling_first(self.trace)[:LONGEST] or None,
            "log": "\n".join(self.tail)[-LONGEST:],
            "peak_memory": self.peak,
            "memory": self.memory,
        }


def _most_telling_first(trace: str) -> str:
    """Put what faulthandler says of the thread at fault before what it says of the others."""
    head, *threads = trace.split("\n\n")
    return "\n\n".join([head, *sorted(threads, key=lambda thread: not thread.startswith("Current thread"))])


def verdict(state: str, code: int, error: str, message: str) -> dict[str, Any]:
    """Make an end's ``state``, ``code``, ``error`` and ``message``."""
    return {"state": state, "code": code, "error": error, "message": message}


def stop_reason(number: int) -> str:
    """Say which signal asked."""
    return f"the run was asked to stop by {signal_name(number)}"
