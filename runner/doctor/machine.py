"""The machine that a run would start on: Python, libraries, memory, processors, a folder for temporary files."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from runner.cgroup import read_limits
from runner.errors import EnvironmentWrong
from runner.secrets.redaction import redact
from runner.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.doctor.checks import State

LIBRARIES = ("cloudpickle", "obstore", "boto3", "google-cloud-storage", "azure-storage-blob", "azure-identity")


class LimitsDocument(TypedDict):
    """`runner.cgroup.Limits` in the document of ``runner doctor --json``."""

    cgroup: int | None
    memory: int | None
    used: int | None
    cpus: float | None
    total: int | None


class MachineDocument(TypedDict):
    """The machine in the document of ``runner doctor --json``; the version of an absent library is None."""

    runner: str
    python: str
    implementation: str
    system: str
    image: str | None
    revision: str | None
    user: int | None
    libraries: dict[str, str | None]
    cpus: int | None
    limits: LimitsDocument


def describe_machine(environ: Mapping[str, str]) -> MachineDocument:
    """Return what is known of the machine, the image, Python and the libraries."""
    limits = read_limits()
    return {
        "runner": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "image": redact(environ["RUNNER_IMAGE"]) if "RUNNER_IMAGE" in environ else None,
        "revision": environ.get("RUNNER_REVISION"),
        "user": os.geteuid() if hasattr(os, "geteuid") else None,  # Windows has no numbers of users
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "limits": {
            "cgroup": limits.cgroup,
            "memory": limits.memory,
            "used": limits.used,
            "cpus": limits.cpus,
            "total": limits.total,
        },
    }


def check_temporary_folder(environ: Mapping[str, str]) -> tuple[State, str]:
    """Write a file where a run unpacks a flow's modules, and return state and message. Raises EnvironmentWrong."""
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
    message = f"{folder} can be written, {free / 1e9:.1f} GB free"
    wanted = environ.get("TMPDIR")
    if wanted and Path(wanted).absolute() != Path(folder):
        return "note", f"{message}; TMPDIR is {wanted}, which cannot"
    return "ok", message


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
