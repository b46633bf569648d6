"""Subreaper between supervisor and flow: kills every descendant of the flow when either of them is gone.

The kernel tells a process of its parent's death, but not its grandchildren. So the reaper is the flow's parent, and
takes in whatever the flow's processes leave behind (``PR_SET_CHILD_SUBREAPER``). It only waits for signals:

- SIGCHLD: the flow's process has ended; the rest is killed, and the reaper ends in the same way.
- SIGTERM, from the supervisor or, when that is gone, from the kernel (``PR_SET_PDEATHSIG``): all are killed.
- SIGUSR1 is passed on.

https://man7.org/linux/man-pages/man2/prctl.2.html
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from runner.process import WAITED_SIGNALS, adopt_orphans, die_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def reap_descendants(supervisor: int, flow: Callable[[], NoReturn], tells: int, close: Iterable[int]) -> NoReturn:
    """Fork the flow's process and wait for its end.

    ``tells`` is the pipe by which the supervisor is told, ``close`` are the descriptors that are the flow's alone. The
    signals in `WAITED_SIGNALS` are blocked when this is called.
    """
    try:
        adopt_orphans()
        os.setsid()  # what a terminal sends goes to the supervisor, which knows what to do about it
        try:
            child = os.fork()
        except OSError as error:
            _tell_refusal(tells, error)
            os._exit(1)
        if child == 0:
            flow()
        for descriptor in close:
            os.close(descriptor)
        _end_as(_watch(supervisor, child))
    finally:
        os._exit(70)


def _tell_refusal(tells: int, error: OSError) -> None:
    from runner.cgroup import process_limit_error
    from runner.errors import InternalError
    from runner.model.verdict import Verdict
    from runner.runtime.channel import encode

    refused = process_limit_error(error)
    verdict = (
        Verdict.of_error(refused, "refused") if refused else Verdict.of_error(InternalError(str(error)), "crashed")
    )
    os.write(tells, encode({"kind": "finished", "verdict": verdict}))


def _watch(supervisor: int, child: int) -> int:
    """Wait until the flow's process has ended, and return its status."""
    for number in WAITED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # one that is ignored would not even wait
    die_with(supervisor, signal.SIGTERM)
    while True:
        got = signal.sigwaitinfo(WAITED_SIGNALS)
        if got.si_signo == signal.SIGTERM:
            os.kill(child, signal.SIGKILL)
        elif got.si_signo == signal.SIGUSR1:
            os.kill(child, signal.SIGUSR1)
        ended, status = _reap(child)
        if ended:
            with suppress(ChildProcessError):  # which says that there is none
                os.waitpid(-1, os.WNOHANG)
                kill_children()
            return status


def _reap(child: int) -> tuple[bool, int]:
    """Reap all processes that have ended; return whether the flow's own has, and its status."""
    while True:
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended in {0, child}:
            return ended == child, status


def _end_as(status: int) -> NoReturn:
    """End as another process did, so that whoever waits sees what became of that one."""
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it left its own core, if it was to
        with suppress(OSError, ValueError):  # SIGKILL has no other action
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 70)


def kill_children(since: int = 0) -> None:
    """Kill every process that is this one's child, or becomes it because its own parent is killed.

    Only those that were started ``since`` then, in clock ticks since the machine was: see `start_ticks`.
    """
    while found := _children(since):
        for child in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        for child in found:
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children(since: int) -> list[int]:
    own = str(os.getpid())
    names = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - as below
    stats = {int(name): stat_fields(name) for name in names}
    return [pid for pid, stat in stats.items() if stat and stat[1] == own and int(stat[19]) >= since]


def start_ticks(pid: int) -> int:
    """Return when a process was started, in clock ticks since the machine was; 0 if it is gone."""
    stat = stat_fields(str(pid))
    return int(stat[19]) if stat else 0


def stat_fields(pid: str) -> list[str]:
    """Return the fields after a process's name. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs a start
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []
