"""What the kernel says of this process's control group: how much it may use, and whether that was too little.

The process that supervises a flow loads this: nothing heavy is imported here. https://docs.kernel.org/admin-guide/
has the files, of version 2 in cgroup-v2.html and of version 1 in cgroup-v1/memory.html. ``root`` is another one in
tests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NONE_ABOVE = 1 << 60  # version 1 writes "no limit" as the greatest number of pages
_NEARLY = 4 << 20  # bytes: the kernel gives memory in pieces as large as a huge page, so a limit is not met exactly
_MORE = "give it more (docker run --memory, or resources.limits.memory in Kubernetes), or let tasks hold less at a time"
_ROOM = (
    "have this much memory kept for it (resources.requests.memory in Kubernetes), or run less beside it on the machine"
)
_UNTOLD = (
    "whether for memory, which is the usual reason, the kernel does not say here (no control group counts it); docker "
    "inspect (State.OOMKilled), kubectl describe pod, or the kernel's log on the machine can tell"
)
_GROUPS = "docker run --pids-limit; in Kubernetes podPidsLimit, of the kubelet"
_USERS = "docker run --ulimit nproc, or ulimit -u"


class Limits(NamedTuple):
    """What this process may use: bytes of memory and a number of processors; None where there is no limit.

    ``cgroup`` is the version that says so (None: no cgroups here), ``total`` the machine's memory, ``used`` what the
    group uses already.
    """

    cgroup: int | None
    memory: int | None
    used: int | None
    cpus: float | None
    total: int | None


class Bound(NamedTuple):
    """The least limit of this group and of those that hold it, and the file that sets it."""

    size: int
    file: str


class _Group(NamedTuple):
    """The folders of this process's group and of those above it, nearest first, by controller."""

    version: int | None
    memory: list[str]
    cpu: list[str]
    pids: list[str]


def limits(root: str = "/") -> Limits:
    """Read the limits of this process's control group, of either version, and of all the groups that hold it."""
    group = _group(root)
    limit = _memory_limit(group)
    if group.version == 1:
        used = _first(group.memory, "memory.usage_in_bytes")
        pairs = zip(_texts(group.cpu, "cpu.cfs_quota_us"), _texts(group.cpu, "cpu.cfs_period_us"), strict=False)
        quotas = [_quota(quota, period) for (_, quota), (_, period) in pairs]
    else:
        used = _first(group.memory, "memory.current")
        words = (text.split() for _, text in _texts(group.cpu, "cpu.max"))
        quotas = [_quota(*pair) for pair in words if len(pair) == 2]  # noqa: PLR2004 - quota and period
    cpus = min((quota for quota in quotas if quota is not None), default=None)
    return Limits(group.version, limit and limit.size, used, cpus, _total(root))


def memory_limit(root: str = "/") -> Bound | None:
    """Find the limit of memory that holds for this process, and where it is set; None if there is none."""
    return _memory_limit(_group(root))


def peak(root: str = "/") -> int | None:
    """Give the most bytes that this group ever held, files in the page cache among them; None if it is not told.

    Version 2 tells since Linux 5.19.
    """
    group = _group(root)
    return _first(group.memory, "memory.max_usage_in_bytes" if group.version == 1 else "memory.peak")


def oom_kills(root: str = "/") -> int | None:
    """Count the processes of this group that the kernel has killed for memory; None where it does not count.

    Of version 2 the group's own count is taken, where there is one (Linux 5.2): ``memory.events`` has those of the
    groups below in it, say of a container within this one. Both count single processes, also those that go together
    because ``memory.oom.group`` is set, as Kubernetes sets it; then the one that would ask goes with them.
    """
    group = _group(root)
    names = ("memory.oom_control",) if group.version == 1 else ("memory.events.local", "memory.events")
    for folder in group.memory:
        for name in names:
            for _, text in _texts([folder], name):
                counts = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
                return int(counts["oom_kill"]) if counts.get("oom_kill", "").isdigit() else None
    return None


def killed_for_memory(before: int | None, root: str = "/") -> str | None:
    """Say in words that the kernel killed a process of this group for memory since it counted ``before``.

    None if it did not; where it cannot be asked, the words say so.
    """
    now = oom_kills(root)
    if before is None or now is None:
        return _UNTOLD
    if now <= before:
        return None
    limit, most = memory_limit(root), peak(root)
    if limit is None:
        used = "" if most is None else f" ({_size(most)} in use here at the most)"
        return f"the kernel killed it for memory: no limit is set, but the machine had none left{used}; {_ROOM}"
    if most is None:
        return f"the kernel killed it for memory: the limit is {_size(limit.size)} ({limit.file}); {_MORE}"
    if most < limit.size - max(_NEARLY, limit.size // 64):
        told = f"of the limit of {_size(limit.size)} ({limit.file}) no more than {_size(most)} were in use"
        return f"the kernel killed it for memory: {told}, so the machine, or another group, had none left; {_ROOM}"
    told = f"the limit is {_size(limit.size)} ({limit.file}), {_size(most)} were in use"
    return f"the kernel killed it for memory: {told}; {_MORE}"


def too_few_processes(root: str = "/") -> str:
    """Say in words, of a process or thread that could not be started, how many this group may have, and the remedy.

    https://docs.kernel.org/admin-guide/cgroup-v1/pids.html; version 2 has the same files.
    """
    limit = min(_numbers(_group(root).pids, "pids.max"), default=None)
    if limit is None:
        return f"the kernel refused it another process or thread; allow it more ({_USERS})"
    told = f"{limit.size} are all that there may be here ({limit.file})"
    return f"the kernel refused it another process or thread: {told}; allow it more ({_GROUPS})"


def refusal(error: BaseException) -> EnvironmentWrong | None:
    """Give what is to be told of an error that is the kernel's refusal of another process or thread; of others None."""
    words = str(error)
    panicked = type(error).__name__ == "PanicException" and "Resource temporarily unavailable" in words
    if isinstance(error, BlockingIOError) or "can't start new thread" in words or panicked:
        return EnvironmentWrong(too_few_processes())
    return None


def _size(size: int) -> str:
    """Give a size in the unit in which limits are set: ``docker run --memory 256m`` is 256 MiB."""
    return f"{size / (1 << 20):.1f}".removesuffix(".0") + " MiB"


def _group(root: str) -> _Group:
    mount = root.rstrip("/") + "/sys/fs/cgroup"
    groups = _paths(root)
    if os.access(f"{mount}/cgroup.controllers", os.F_OK):
        folders = list(_upwards(mount, groups.get("", "/")))
        return _Group(2, folders, folders, folders)
    found = [list(_upwards(f"{mount}/{name}", groups.get(name, "/"))) for name in ("memory", "cpu", "pids")]
    return _Group(1 if any(found) else None, *found)


def _paths(root: str) -> dict[str, str]:
    """Give this process's group by controller; version 2 has one for all, under the empty name."""
    found: dict[str, str] = {}
    for _, text in _texts([root.rstrip("/") + "/proc/self"], "cgroup"):
        for line in text.splitlines():
            _, controllers, path = line.split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path)
    return found


def _upwards(mount: str, group: str) -> Iterator[str]:
    """Give the group's folder and those above it; in a container the group lies at the mount itself."""
    names = group.split("/")
    if ".." not in names and os.access(mount + group, os.F_OK):
        for depth in range(len(names), 1, -1):
            if names[depth - 1]:
                yield mount + "/".join(names[:depth])
    if os.access(mount, os.F_OK):
        yield mount


def _texts(folders: Sequence[str], name: str) -> Iterator[tuple[str, str]]:
    """Give path and text of the file in each folder that has it."""
    for folder in folders:
        path = f"{folder}/{name}"
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs the start 5 ms
                text = file.read().strip()
        except OSError:  # the topmost group has no limits, and some may not be read
            continue
        yield path, text


def _numbers(folders: Sequence[str], name: str) -> list[Bound]:
    told = ((path, int(text)) for path, text in _texts(folders, name) if text.isdigit())
    return [Bound(number, path) for path, number in told if number < _NONE_ABOVE]


def _first(folders: Sequence[str], name: str) -> int | None:
    return next((number for number, _ in _numbers(folders, name)), None)


def _memory_limit(group: _Group) -> Bound | None:
    if group.version == 1:
        found = [*_numbers(group.memory, "memory.limit_in_bytes"), *_inherited(group.memory[:1])]
    else:
        found = _numbers(group.memory, "memory.max")
    return min(found, default=None)


def _inherited(folders: Sequence[str]) -> Iterator[Bound]:
    """Give the limit that version 1 tells of groups above, which a container does not see itself."""
    for path, text in _texts(folders, "memory.stat"):
        for line in text.splitlines():
            name, _, number = line.partition(" ")
            if name == "hierarchical_memory_limit" and int(number) < _NONE_ABOVE:
                yield Bound(int(number), path)


def _total(root: str) -> int | None:
    for _, text in _texts([root.rstrip("/") + "/proc"], "meminfo"):
        for line in text.splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    return None


def _quota(quota: str, period: str) -> float | None:
    """Give microseconds of a period as a number of processors; ``max`` and -1 are no limit."""
    return int(quota) / int(period) if quota.isdigit() else None
