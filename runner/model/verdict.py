"""``Verdict``: how something ended, and why. One shape for what a process says, what is stored and what is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from runner.errors import RunnerError
    from runner.schema.documents import DeathRecord, ErrorRecord, State

LONGEST_MESSAGE = 2000  # characters


class Verdict(NamedTuple):
    """How a start ended.

    Args:
        state: that in which it leaves the attempt, if that has no end yet.
        exit_code: that of the process.
        message: a sentence for people.
        error: the class of the error; None for a success.
        exception: a traceback for the log, of a bug.
        death: what is known of a process that died.
    """

    state: State
    exit_code: int
    message: str
    error: str | None = None
    exception: str | None = None
    death: DeathRecord | None = None

    @classmethod
    def of_error(cls, error: RunnerError, state: State, *, advice: str = "", exception: str | None = None) -> Verdict:
        """Return what an error means; its text is redacted."""
        message = redact(f"{error}{advice}")[:LONGEST_MESSAGE]
        return cls(state, error.code, message, type(error).__name__, exception)

    @property
    def error_record(self) -> ErrorRecord | None:
        """The error as an end has it; None for a success."""
        return None if self.error is None else {"type": self.error, "message": self.message}
