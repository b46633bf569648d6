"""What `runner doctor` finds: one check after the other, none of which keeps the next from being made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.errors import InternalError, RunnerError
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["ok", "note", "unknown", "FAILED"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: about what, its name, how it is, and what that means in words.

    ``note`` is what a run can do with, and ``unknown`` what could not be found out. Only what ``FAILED`` has an error.
    """

    about: str
    name: str
    state: State
    told: str
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

    def document(self) -> dict[str, Any]:
        """Give it as it stands in the JSON document."""
        return {
            "about": self.about,
            "check": self.name,
            "state": self.state,
            "message": redact(self.told),
            "hint": redact(self.hint),
            "exit_code": self.code,
            "seconds": None if self.seconds is None else round(self.seconds, 6),
        }


def failed_check(about: str, name: str, error: RunnerError, seconds: float | None = None) -> Check:
    """Give the check that an error ended."""
    return Check(about, name, "FAILED", error.message, seconds, error)


def run_check(about: str, name: str, call: Callable[[], str | tuple[State, str]]) -> Check:
    """Make a check: ``call`` says what it found, perhaps with a state, or raises; how long it took is kept."""
    start = time.perf_counter()
    try:
        found = call()
        state, told = found if isinstance(found, tuple) else ("ok", found)
    except RunnerError as error:
        return failed_check(about, name, error, time.perf_counter() - start)
    except Exception as error:  # noqa: BLE001 - the other checks are still wanted
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return failed_check(about, name, bug)
    return Check(about, name, state, told, time.perf_counter() - start)
