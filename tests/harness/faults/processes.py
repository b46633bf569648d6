"""The processes of one start, seen through /proc: who they are, whether they live, and how to end them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "FAULTS_MARK"  # a variable that every process of a start inherits
TARGETS = ("child", "reaper", "supervisor", "both")


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def state(pid: int) -> str:
    """Give the letter of a process's state, ``X`` where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def lives(pid: int) -> bool:
    return state(pid) not in "ZX"


def family(supervisor: int) -> dict[str, int]:
    """Give the processes of a start by their part, as far as they were begun."""
    found = {"supervisor": supervisor}
    for parent, part in (("supervisor", "reaper"), ("reaper", "child")):
        if parent in found and (below := children(found[parent])):
            found[part] = below[0]
    return {part: pid for part, pid in found.items() if lives(pid)}


def send(supervisor: int, target: str, number: int = signal.SIGKILL) -> list[int]:
    """Signal the target of a start, and give whom; nobody if it, or a part of it, is not there."""
    found = family(supervisor)
    parts = ("supervisor", "child") if target == "both" else (target,)
    if not all(part in found for part in parts):
        return []
    for part in parts:
        send_to(found[part], number)
    return [found[part] for part in parts]


def send_to(pid: int, number: int) -> None:
    """Signal one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def of_start(mark: str) -> dict[int, str]:
    """Find every living process that bears a start's mark, and give its command line."""
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0") and lives(int(entry.name)):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def survivors(mark: str, patience: float) -> dict[int, str]:
    """Give what of a start still lives after some seconds; nothing, as soon as nothing does."""
    end = time.monotonic() + patience
    while (found := of_start(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def end_all(mark: str) -> None:
    """Kill what is left of a start."""
    for pid in of_start(mark):
        send_to(pid, signal.SIGKILL)
