"""Runner, killed before or after a step: killed_launcher.py before|after|never STEP NUMBER ARGUMENTS.

A step is a call of the storage or of the launcher, by its name, or by that and what it is about, as `about` has it:
``create run/launches/N.json``. Each is written to standard error when it begins.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from runner import cli
from runner.backends.base import Storage
from runner.environments import LAUNCHER_KINDS
from runner.launchers import launcher_class

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = ("read", "read_changed", "create", "replace", "replace_unless_busy", "delete", "list_folder", "list_recursive")
LAUNCHER_CALLS = ("launch", "describe", "stop", "remove", "logs")
PATTERNS = [
    (r"^.*?(?=_queue/|_agents/)", ""),
    (r"^.*?runs/(?=_slots)", ""),
    (r"^(?!_).*?runs/[^/]+", "run"),
    (r"^(?![_r]).*", "bundle"),
    (r"(?<=_agents/)([^/]+)-[0-9a-f]{6}(?=/)", r"\1"),
    (r"(?<=/runs/).+", "RUN"),
    (r"\d{20,}-.+", "ENTRY"),
    (r"[0-9a-f]{16}", "SET"),
    (r"\d{4,}", "N"),
]


def about(key: str) -> str:
    """What an object is, whatever its run, agent, number and set are."""
    for pattern, text in PATTERNS:
        key = re.sub(pattern, text, key)
    return key


def die_at(kind: type, names: tuple[str, ...], moment: str, due: tuple[str, int]) -> None:
    """Have the process kill itself at a step."""
    counts, turn = Counter[str](), threading.Lock()

    def instrument(name: str) -> None:
        original: Callable[..., Any] = getattr(kind, name)

        def step(self: Any, *arguments: Any, **options: Any) -> Any:
            said = f"{name} {about(arguments[0])}" if kind is Storage and arguments else name
            with turn:
                os.write(2, f"step {said}\n".encode())
                counts.update({name, said})
                is_due = (name, counts[name]) == due or (said, counts[said]) == due
                if is_due and moment == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
            answer = original(self, *arguments, **options)
            if name == "list_recursive":
                answer = iter(list(answer))
            if is_due and moment == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(kind, name, step)

    for name in names:
        instrument(name)


if __name__ == "__main__":
    [moment, step, number, *arguments] = sys.argv[1:]
    sys.argv[1:] = arguments
    die_at(Storage, CALLS, moment, (step, int(number)))
    for platform in set(arguments) & set(LAUNCHER_KINDS):
        die_at(launcher_class(platform), LAUNCHER_CALLS, moment, (step, int(number)))
    sys.exit(cli.main())
