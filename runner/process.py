"""What a process is told by signals, and how it is bound to its parent: ``prctl(2)``."""

from __future__ import annotations

import ctypes  # before the fork: all three processes need it at once
import os
import signal

# Windows has no SIGHUP; nothing is run there, but flows are built by a command line that imports this
STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


def signal_name(number: int) -> str:
    """Name a signal."""
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"signal {number}"


WAITED_SIGNALS = (
    frozenset({signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1}) if hasattr(signal, "SIGCHLD") else frozenset()
)
_PDEATHSIG, _SUBREAPER = 1, 36  # of linux/prctl.h


def die_with(parent: int, number: int) -> None:
    """Have a signal sent to this process when its parent dies, or at once if that is gone.

    To be called by the main thread: the kernel forgets the wish of a thread that has ended.
    """
    _prctl(_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the parent of the descendants whose own parent dies."""
    _prctl(_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
