"""The checks of `runner doctor`: each is made whatever the ones before it found."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from runner.errors import InternalError, RunnerError
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["ok", "note", "unknown", "FAILED"]


class CheckDocument(TypedDict):
    """A check in the document of ``runner doctor --json``."""

    about: str
    check: str
    state: State
    message: str
    hint: str
    exit_code: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check: of what (``about``), its name, its state, and a message for people.

    A run works all the same after a ``note``; ``unknown`` could not be found out. Only what ``FAILED`` has an error.
    """

    about: str
    name: str
    state: State
    message: str
    seconds: float | None = None
    error: RunnerError | None = None

    @property
    def code(self) -> int:
        """The exit code of a run that fails by this."""
        return self.error.code if self.error else 0

    @property
    def hint(self) -> str:
        """What to do about it."""
        return self.error.hint if self.error else ""

    def document(self) -> CheckDocument:
        """Return the check as the JSON document has it, without secrets."""
        return {
            "about": self.about,
            "check": self.name,
            "state": self.state,
            "message": redact(self.message),
            "hint": redact(self.hint),
            "exit_code": self.code,
            "seconds": None if self.seconds is None else round(self.seconds, 6),
        }


def failed_check(about: str, name: str, error: RunnerError, seconds: float | None = None) -> Check:
    """Return the check that an error ended."""
    return Check(about, name, "FAILED", error.message, seconds, error)


def error_with_code(code: int, message: str, hint: str) -> RunnerError:
    """Return an error by which a run has this exit code, whatever its class."""
    error = RunnerError(message, hint=hint)
    error.code = code
    return error


def check_of(document: CheckDocument) -> Check:
    """Return the check that a document of another process tells of."""
    code, message = document["exit_code"], document["message"]
    error = error_with_code(code, message, document["hint"]) if code else None
    return Check(document["about"], document["check"], document["state"], message, document["seconds"], error)


def run_check(about: str, name: str, call: Callable[[], str | tuple[State, str]]) -> Check:
    """Make a check: ``call`` returns the message, perhaps with a state, or raises; its time is measured."""
    start = time.perf_counter()
    try:
        answer = call()
        state, message = answer if isinstance(answer, tuple) else ("ok", answer)
    except RunnerError as error:
        return failed_check(about, name, error, time.perf_counter() - start)
    except Exception as error:  # noqa: BLE001 - the other checks are still wanted
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return failed_check(about, name, bug)
    return Check(about, name, state, message, time.perf_counter() - start)
