"""The limits of this process's control group, and whether the kernel killed a process or refused one because of them.

The supervisor imports this module, which therefore imports nothing heavy. https://docs.kernel.org/admin-guide/
describes the files: those of version 2 in cgroup-v2.html, those of version 1 in cgroup-v1/memory.html. Every function
takes another ``root`` in tests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_LIMIT_FROM = 1 << 60  # version 1 writes "no limit" as the greatest number of pages
_DIGITS, _LONGEST = 20, 65536  # of a number of 64 bits; characters of a file
_TOLERANCE = 4 << 20  # bytes: the kernel gives memory in pieces as large as a huge page, so a limit is not met exactly
_RAISE_LIMIT = (
    "give it more (docker run --memory, or resources.limits.memory in Kubernetes), or let tasks hold less at a time"
)
_FREE_MEMORY = (
    "have this much memory kept for it (resources.requests.memory in Kubernetes), or run less beside it on the machine"
)
_NOT_COUNTED = (
    "whether for memory, which is the usual reason, the kernel does not say here (no control group counts it); docker "
    "inspect (State.OOMKilled), kubectl describe pod, or the kernel's log on the machine can tell"
)
_GROUP_SETTINGS = "docker run --pids-limit; in Kubernetes podPidsLimit, of the kubelet"
_USER_SETTINGS = "docker run --ulimit nproc, or ulimit -u"


class Limits(NamedTuple):
    """What this process may use: bytes of memory and a number of processors; None where there is no limit.

    ``cgroup`` is the version of the control groups (None: there are none), ``total`` the machine's memory, ``used``
    what the group uses already.
    """

    cgroup: int | None
    memory: int | None
    used: int | None
    cpus: float | None
    total: int | None


class Bound(NamedTuple):
    """The lowest limit among those of this group and the groups above it, and the file that sets it."""

    size: int
    file: str


class _Group(NamedTuple):
    """The folders of this process's group and of the groups above it, nearest first, by controller."""

    version: int | None
    memory: list[str]
    cpu: list[str]
    pids: list[str]


def read_limits(root: str = "/") -> Limits:
    """Return the limits that this process's group and all groups above it set, in either version."""
    group = _group(root)
    limit = _memory_limit(group)
    if group.version == 1:
        used = _nearest_number(group.memory, "memory.usage_in_bytes")
        pairs = zip(
            _read_files(group.cpu, "cpu.cfs_quota_us"), _read_files(group.cpu, "cpu.cfs_period_us"), strict=False
        )
        quotas = [_quota(quota, period) for (_, quota), (_, period) in pairs]
    else:
        used = _nearest_number(group.memory, "memory.current")
        words = (text.split() for _, text in _read_files(group.cpu, "cpu.max"))
        quotas = [_quota(*pair) for pair in words if len(pair) == 2]  # noqa: PLR2004 - quota and period
    cpus = min((quota for quota in quotas if quota is not None), default=None)
    return Limits(group.version, limit and limit.size, used, cpus, _total(root))


def memory_limit(root: str = "/") -> Bound | None:
    """Return the memory limit that applies to this process, and where it is set; None if there is none."""
    return _memory_limit(_group(root))


def peak_memory(root: str = "/") -> int | None:
    """Return the most bytes that this group ever used, with files in the page cache; None if that is not recorded.

    Version 2 records it since Linux 5.19.
    """
    group = _group(root)
    return _nearest_number(group.memory, "memory.max_usage_in_bytes" if group.version == 1 else "memory.peak")


def count_oom_kills(root: str = "/") -> int | None:
    """Return how many processes of this group the kernel has killed for memory; None where it does not count.

    In version 2 it is the group's own count, where there is one (Linux 5.2): ``memory.events`` includes the groups
    below, say of a container within this one. Both count single processes, also those that are killed together because
    ``memory.oom.group`` is set, as Kubernetes sets it; then the process that would ask is killed with them.
    """
    group = _group(root)
    names = ("memory.oom_control",) if group.version == 1 else ("memory.events.local", "memory.events")
    for folder in group.memory:
        for name in names:
            for _, text in _read_files([folder], name):
                counts = {name: count for name, _, count in (line.partition(" ") for line in text.splitlines())}
                return _number(counts.get("oom_kill", ""))
    return None


def describe_oom_kill(before: int | None, root: str = "/") -> str | None:
    """Describe the kill, if the kernel killed a process of this group for memory since it counted ``before``.

    None if it did not; where the kernel does not count, the text says that it is unknown.
    """
    now = count_oom_kills(root)
    if before is None or now is None:
        return _NOT_COUNTED
    if now <= before:
        return None
    limit, most = memory_limit(root), peak_memory(root)
    if limit is None:
        used = "" if most is None else f" ({_size(most)} in use here at the most)"
        return f"the kernel killed it for memory: no limit is set, but the machine had none left{used}; {_FREE_MEMORY}"
    if most is None:
        return f"the kernel killed it for memory: the limit is {_size(limit.size)} ({limit.file}); {_RAISE_LIMIT}"
    if most < limit.size - max(_TOLERANCE, limit.size // 64):
        usage = f"of the limit of {_size(limit.size)} ({limit.file}) no more than {_size(most)} were in use"
        return (
            f"the kernel killed it for memory: {usage}, so the machine, or another group, had none left; {_FREE_MEMORY}"
        )
    usage = f"the limit is {_size(limit.size)} ({limit.file}), {_size(most)} were in use"
    return f"the kernel killed it for memory: {usage}; {_RAISE_LIMIT}"


def describe_process_limit(root: str = "/") -> str:
    """Describe why a process or thread could not be started: how many this group may have, and the remedy.

    https://docs.kernel.org/admin-guide/cgroup-v1/pids.html; version 2 has the same files.
    """
    limit = min(_read_numbers(_group(root).pids, "pids.max"), default=None)
    if limit is None:
        return f"the kernel refused it another process or thread; allow it more ({_USER_SETTINGS})"
    limited = f"{limit.size} are all that there may be here ({limit.file})"
    return f"the kernel refused it another process or thread: {limited}; allow it more ({_GROUP_SETTINGS})"


def process_limit_error(error: BaseException) -> EnvironmentWrong | None:
    """Return the error to report where an exception is the kernel's refusal of more of something, else None.

    That is another process, thread or file, or memory for one.
    """
    import errno
    import resource

    words = str(error)
    panicked = type(error).__name__ == "PanicException" and "Resource temporarily unavailable" in words
    if getattr(error, "errno", None) == errno.EMFILE or "Too many open files" in words:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        message = f"the kernel refused to open another file: {files} are all that one process may have open"
        return EnvironmentWrong(message, hint="Allow it more: ulimit -n, or docker run --ulimit nofile=1024.")
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    is_short = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    if space != resource.RLIM_INFINITY and (is_short or panicked or "can't start new thread" in words):
        message = f"the kernel refused it more memory: its address space is limited to {_size(space)}"
        return EnvironmentWrong(message, hint="Allow it more, or all: ulimit -v unlimited.")
    if isinstance(error, BlockingIOError) or "can't start new thread" in words or panicked:
        return EnvironmentWrong(describe_process_limit())
    return None


def _size(size: int) -> str:
    """Return a size in the unit in which limits are set: ``docker run --memory 256m`` is 256 MiB."""
    return f"{size / (1 << 20):.1f}".removesuffix(".0") + " MiB"


def _group(root: str) -> _Group:
    mount = root.rstrip("/") + "/sys/fs/cgroup"
    groups = _group_paths(root)
    if os.access(f"{mount}/cgroup.controllers", os.F_OK):
        folders = list(_folders_upwards(mount, groups.get("", "/")))
        return _Group(2, folders, folders, folders)
    found = [list(_folders_upwards(f"{mount}/{name}", groups.get(name, "/"))) for name in ("memory", "cpu", "pids")]
    return _Group(1 if any(found) else None, *found)


def _group_paths(root: str) -> dict[str, str]:
    """Return the path of this process's group by controller; version 2 has one for all, under the empty name."""
    found: dict[str, str] = {}
    for _, text in _read_files([root.rstrip("/") + "/proc/self"], "cgroup"):
        for line in text.splitlines():
            _, _, group = line.partition(":")
            controllers, _, path = group.partition(":")
            found |= dict.fromkeys(controllers.split(","), path.replace("\0", ""))
    return found


def _folders_upwards(mount: str, group: str) -> Iterator[str]:
    """Yield the group's folder and those above it; in a container the group lies at the mount itself."""
    names = group.split("/")
    if ".." not in names and os.access(mount + group, os.F_OK):
        for depth in range(len(names), 1, -1):
            if names[depth - 1]:
                yield mount + "/".join(names[:depth])
    if os.access(mount, os.F_OK):
        yield mount


def _read_files(folders: Sequence[str], name: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of the file in each folder that has it."""
    for folder in folders:
        path = f"{folder}/{name}"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - pathlib costs the start 5 ms
                text = file.read(_LONGEST).strip()
        except OSError:  # the topmost group has no limits, and some may not be read
            continue
        yield path, text


def _read_numbers(folders: Sequence[str], name: str) -> list[Bound]:
    numbers = ((path, _number(text)) for path, text in _read_files(folders, name))
    return [Bound(number, path) for path, number in numbers if number is not None and number < _NO_LIMIT_FROM]


def _number(text: str) -> int | None:
    """Return a number of the kernel's; None for ``max``, and for what is none."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def _nearest_number(folders: Sequence[str], name: str) -> int | None:
    return next((number for number, _ in _read_numbers(folders, name)), None)


def _memory_limit(group: _Group) -> Bound | None:
    if group.version == 1:
        found = [*_read_numbers(group.memory, "memory.limit_in_bytes"), *_inherited(group.memory[:1])]
    else:
        found = _read_numbers(group.memory, "memory.max")
    return min(found, default=None)


def _inherited(folders: Sequence[str]) -> Iterator[Bound]:
    """Yield the limit of the groups above that version 1 reports, whose files a container does not see."""
    for path, stat in _read_files(folders, "memory.stat"):
        for line in stat.splitlines():
            name, _, text = line.partition(" ")
            number = _number(text)
            if name == "hierarchical_memory_limit" and number is not None and number < _NO_LIMIT_FROM:
                yield Bound(number, path)


def _total(root: str) -> int | None:
    for _, text in _read_files([root.rstrip("/") + "/proc"], "meminfo"):
        for line in text.splitlines():
            if line.startswith("MemTotal:"):
                total = _number(line.removeprefix("MemTotal:").removesuffix("kB").strip())
                return None if total is None else total * 1024
    return None


def _quota(quota: str, period: str) -> float | None:
    """Return microseconds of a period as a number of processors; None for ``max`` and -1, which are no limit."""
    each, every = _number(quota), _number(period)
    return each / every if each is not None and every else None
