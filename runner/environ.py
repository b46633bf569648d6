"""The process's environment; nothing else reads ``os.environ``."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PROCESS_SET_BY_TASKS: set[str] = set()  # names of variables


def process_environ() -> Mapping[str, str]:
    """Return this process's environment; the one place where it is read."""
    return os.environ


def set_default(name: str, value: str) -> None:
    """Set a variable for this process and its children, unless it is set, for a library that takes it from there."""
    os.environ.setdefault(name, value)


def environ_at_start() -> dict[str, str] | None:
    """Return the environment with which this process began; None where the system does not tell it.

    See https://man7.org/linux/man-pages/man5/proc_pid_environ.5.html: a process that gives itself another title may
    have written over it.
    """
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib costs the start 5 ms
            lines = os.fsdecode(file.read()).split("\0")
    except OSError:
        return None
    began = dict(line.split("=", 1) for line in lines if "=" in line)
    return began if "PATH" in began or "PATH" not in os.environ else None


def set_since(began: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that this process has set since then, but for those that tasks set as they ran here."""
    others = {name: value for name, value in os.environ.items() if began.get(name) != value}
    return {name: value for name, value in others.items() if name not in _PROCESS_SET_BY_TASKS}


@contextmanager
def running_tasks() -> Iterator[None]:
    """Take what is set meanwhile for the tasks' own doing, which they do wherever they run."""
    before = dict(os.environ)
    try:
        yield
    finally:
        _PROCESS_SET_BY_TASKS.update(set_since(before))
