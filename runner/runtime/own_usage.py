"""What this process has used, as the kernel tells it. https://man7.org/linux/man-pages/man5/proc.5.html.

Where a file is not there, or may not be read, what it says is None.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.schema.progress import UsageRecord


def files_of(pid: int | str) -> tuple[int | None, int | None]:
    """Return the bytes that a process, and those that it waited for, read from disks and wrote to them."""
    counts = dict(line.partition(": ")[::2] for line in _text(f"/proc/{pid}/io").splitlines())
    if "read_bytes" not in counts:
        return None, None
    return int(counts["read_bytes"]), int(counts["write_bytes"])


def network() -> tuple[int | None, int | None]:
    """Return the bytes that came in and went out where this process has its network: its container, or the machine."""
    rows = [line.partition(":") for line in _text("/proc/self/net/dev").splitlines()[2:]]
    counts = [numbers.split() for name, _, numbers in rows if name.strip() != "lo"]
    if not counts:
        return None, None
    return sum(int(count[0]) for count in counts), sum(int(count[8]) for count in counts)


def since(now: tuple[int | None, int | None], before: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    """Return how much has come to two counts."""
    first, second = (
        None if new is None or old is None else max(0, new - old) for new, old in zip(now, before, strict=True)
    )
    return first, second


def available() -> tuple[float, int | None]:
    """Return how many processors this process may use, and bytes of memory; None where there is no limit."""
    from runner.cgroup import read_limits

    limits = read_limits()
    return limits.cpus or float(len(os.sched_getaffinity(0))), limits.memory


def usage_record(
    cpu: float, memory: int | None, files: tuple[int | None, int | None], net: tuple[int | None, int | None]
) -> UsageRecord:
    """Return what was used, and how much there was of it; see `UsageRecord`."""
    cpus, memory_limit = available()
    return {
        "cpus": cpus,
        "memory_limit": memory_limit,
        "cpu": round(cpu, 3),
        "memory": memory,
        "read": files[0],
        "written": files[1],
        "received": net[0],
        "sent": net[1],
    }


def own_usage(before: tuple[int | None, int | None]) -> UsageRecord:
    """Return what this process has used, and those that it waited for; ``before`` is what `network` was at first."""
    import resource

    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    return usage_record(cpu, 1024 * max(own.ru_maxrss, others.ru_maxrss), files_of("self"), since(network(), before))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs a start
            return file.read()
    except OSError:
        return ""
