"""Runner, killed before or after a step of launching: killed_launcher.py before|after STEP NUMBER ARGUMENTS."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from runner import cli
from runner.backends.local.files import LocalStorage
from runner.backends.object_store import ObjectStorage
from runner.environments import LAUNCHER_KINDS
from runner.launchers import launcher_class

if TYPE_CHECKING:
    from collections.abc import Callable


def die_at(kind: type, name: str, number: int, *, is_after: bool) -> None:
    """Have the process kill itself when this method is called for this time."""
    original: Callable[..., Any] = getattr(kind, name)
    calls = itertools.count(1)

    def step(*arguments: Any, **options: Any) -> Any:
        is_due = next(calls) == number
        if is_due and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(*arguments, **options)
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(kind, name, step)


if __name__ == "__main__":
    [moment, step, number, *arguments] = sys.argv[1:]
    sys.argv[1:] = arguments
    [platform] = set(arguments) & set(LAUNCHER_KINDS)
    kinds = [launcher_class(platform)] if step in {"launch", "describe", "remove"} else [LocalStorage, ObjectStorage]
    for kind in kinds:
        die_at(kind, step, int(number), is_after=moment == "after")
    sys.exit(cli.main())
