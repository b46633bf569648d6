"""Signals that runner handles, and what binds a process to its parent: ``prctl(2)``."""

from __future__ import annotations

import ctypes  # before the fork: all three processes need it at once
import os
import signal

# Windows has no SIGHUP; nothing is run there, but flows are built by a command line that imports this
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
WAITED_SIGNALS = (
    frozenset({signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1}) if hasattr(signal, "SIGCHLD") else frozenset()
)
_PDEATHSIG, _SUBREAPER = 1, 36  # of linux/prctl.h


def host_name() -> str:
    """Return this machine's name in its network, as a container has it too: the container's id."""
    return os.uname().nodename


def signal_name(number: int) -> str:
    """Return a signal's number and, if it has one, its name: ``signal 9, SIGKILL``."""
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"signal {number}"


def die_with(parent: int, number: int) -> None:
    """Have the kernel send a signal to this process when its parent dies; send it at once if that is gone.

    Call it in the main thread: the kernel drops the request of a thread that ends.
    """
    _prctl(_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the subreaper: the parent of the descendants whose own parent dies."""
    _prctl(_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
