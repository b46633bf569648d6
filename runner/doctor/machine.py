"""What a run would find where it starts: Python, libraries, memory, processors, and a folder for temporary files."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cgroup import limits
from runner.errors import EnvironmentWrong
from runner.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.doctor.checks import State

LIBRARIES = ("cloudpickle", "obstore", "boto3", "google-cloud-storage", "azure-storage-blob", "azure-identity")


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
        "limits": limits()._asdict(),
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


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
