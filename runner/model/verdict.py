"""``Verdict``: how something ended, and why. One shape for what a process says, what is stored and what is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from runner.errors import RunnerError
    from runner.schema.documents import CancelRecord, DeathRecord, ErrorRecord, State
    from runner.schema.progress import UsageRecord

LONGEST_MESSAGE = 2000  # characters
_CANCELLED = 143  # as of a process that SIGTERM has ended


class Verdict(NamedTuple):
    """How a start ended.

    Args:
        state: that in which it leaves the attempt, if that has no end yet.
        exit_code: that of the process.
        message: a sentence for people.
        error: the class of the error; None for a success.
        exception: a traceback for the log, of a bug.
        death: what is known of a process that died.
        cancel: who asked for the run to end, if somebody did.
        usage: what the attempt has used.
    """

    state: State
    exit_code: int
    message: str
    error: str | None = None
    exception: str | None = None
    death: DeathRecord | None = None
    cancel: CancelRecord | None = None
    usage: UsageRecord | None = None

    @classmethod
    def of_error(cls, error: RunnerError, state: State, *, advice: str = "", exception: str | None = None) -> Verdict:
        """Return what an error means; its text is redacted."""
        message = redact(f"{error}{advice}")[:LONGEST_MESSAGE]
        return cls(state, error.code, message, type(error).__name__, exception)

    @classmethod
    def of_cancel(cls, cancel: CancelRecord) -> Verdict:
        """Return the verdict on a run that somebody asked to end."""
        why = f": {cancel['why']}" if cancel["why"] else ""
        message = redact(f"the run was cancelled from {cancel['by']['host']}{why}")[:LONGEST_MESSAGE]
        return cls("cancelled", _CANCELLED, message, "Cancelled", cancel=cancel)

    @property
    def error_record(self) -> ErrorRecord | None:
        """The error as an end has it; None for a success."""
        return None if self.error is None else {"type": self.error, "message": self.message}
