"""What a run would find where it starts: Python, libraries, memory, processors, and a folder for temporary files."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.checks import State

LIBRARIES = ("cloudpickle", "obstore", "boto3", "google-cloud-storage", "azure-storage-blob", "azure-identity")
_NONE_ABOVE = 1 << 60  # version 1 of cgroups writes "no limit" as the greatest number of pages


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may use: bytes of memory and a number of processors; None where there is no limit.

    ``cgroup`` is the version that says so (None: no cgroups here), ``total`` the machine's memory, ``used`` what the
    group uses already.
    """

    cgroup: int | None
    memory: int | None
    used: int | None
    cpus: float | None
    total: int | None


def facts(environ: Mapping[str, str]) -> dict[str, Any]:
    """Describe the machine, the image, Python and the libraries; of an absent library the version is None."""
    return {
        "runner": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "image": environ.get("RUNNER_IMAGE"),
        "revision": environ.get("RUNNER_REVISION"),
        "user": os.geteuid() if hasattr(os, "geteuid") else None,  # Windows has no numbers of users
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "limits": asdict(limits()),
    }


def temporary_folder(environ: Mapping[str, str]) -> tuple[State, str]:
    """Write a file where a run unpacks a flow's modules. Raises EnvironmentWrong."""
    hint = (
        "Mount one (docker run --tmpfs /tmp; in Kubernetes an emptyDir at /tmp), or set TMPDIR to a folder with room."
    )
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        message = f"there is no folder for temporary files that can be written: {error.strerror}"
        raise EnvironmentWrong(message, hint=hint) from error
    told = f"{folder} can be written, {free / 1e9:.1f} GB free"
    wanted = environ.get("TMPDIR")
    if wanted and Path(wanted).absolute() != Path(folder):
        return "note", f"{told}; TMPDIR is {wanted}, which cannot"
    return "ok", told


def limits(root: Path = Path("/")) -> Limits:
    """Read the limits of this process's control group, of either version, and of all the groups that hold it.

    https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
    ``root`` is another one in tests.
    """
    total = _total(root)
    mount = root / "sys/fs/cgroup"
    groups = _groups(root)
    if (mount / "cgroup.controllers").exists():
        folders = list(_upwards(mount, groups.get("", "/")))
        limits_told = (text.split() for text in _texts(folders, "cpu.max"))
        quotas = [_quota(*pair) for pair in limits_told if len(pair) == 2]  # noqa: PLR2004 - quota and period
        return Limits(2, _least(folders, "memory.max"), _first(folders, "memory.current"), _lowest(quotas), total)
    if (mount / "memory").exists() or (mount / "cpu").exists():
        memory = list(_upwards(mount / "memory", groups.get("memory", "/")))
        cpu = list(_upwards(mount / "cpu", groups.get("cpu", "/")))
        pairs = zip(_texts(cpu, "cpu.cfs_quota_us"), _texts(cpu, "cpu.cfs_period_us"), strict=False)
        quotas = [_quota(quota, period) for quota, period in pairs]
        least, used = _least(memory, "memory.limit_in_bytes"), _first(memory, "memory.usage_in_bytes")
        return Limits(1, least, used, _lowest(quotas), total)
    return Limits(None, None, None, None, total)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _total(root: Path) -> int | None:
    for line in _texts([root / "proc"], "meminfo"):
        for field in line.splitlines():
            if field.startswith("MemTotal:"):
                return int(field.split()[1]) * 1024
    return None


def _groups(root: Path) -> dict[str, str]:
    """Give this process's group by controller; version 2 has one for all, under the empty name."""
    found: dict[str, str] = {}
    for text in _texts([root / "proc/self"], "cgroup"):
        for line in text.splitlines():
            _, controllers, path = line.split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path)
    return found


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """Give the group's folder and those above it; in a container the group lies at the mount itself."""
    path = mount / group.strip("/")
    if not path.is_dir() or ".." in path.parts:
        path = mount
    while path != mount:
        yield path
        path = path.parent
    yield mount


def _texts(folders: list[Path], name: str) -> Iterator[str]:
    for folder in folders:
        try:
            yield (folder / name).read_text("utf-8").strip()
        except OSError:  # the topmost group has no limits, and some may not be read
            continue


def _numbers(folders: list[Path], name: str) -> list[int]:
    return [int(text) for text in _texts(folders, name) if text.isdigit() and int(text) < _NONE_ABOVE]


def _least(folders: list[Path], name: str) -> int | None:
    return min(_numbers(folders, name), default=None)


def _first(folders: list[Path], name: str) -> int | None:
    return next(iter(_numbers(folders, name)), None)


def _quota(quota: str, period: str) -> float | None:
    """Give microseconds of a period as a number of processors; ``max`` and -1 are no limit."""
    return int(quota) / int(period) if quota.isdigit() else None


def _lowest(quotas: list[float | None]) -> float | None:
    return min((quota for quota in quotas if quota is not None), default=None)
