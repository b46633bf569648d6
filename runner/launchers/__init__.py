"""Launchers: they start a flow's image where it is to run, and look after what they started.

Each is imported when it is first used; its platform's library when it is reached.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.launchers.base import Launcher
    from runner.launchers.batch import Batch
    from runner.launchers.docker.launcher import Docker
    from runner.launchers.ecs import ECS
    from runner.launchers.kubernetes.launcher import Kubernetes
    from runner.launchers.local import Local
    from runner.launchers.slurm import Slurm

__all__ = ["ECS", "Batch", "Docker", "Kubernetes", "Local", "Slurm", "launcher_class"]

_HOMES = {
    "Batch": "runner.launchers.batch",
    "Docker": "runner.launchers.docker.launcher",
    "ECS": "runner.launchers.ecs",
    "Kubernetes": "runner.launchers.kubernetes.launcher",
    "Local": "runner.launchers.local",
    "Slurm": "runner.launchers.slurm",
}


def launcher_class(kind: str) -> type[Launcher]:
    """Return the class of a kind of launcher: ``docker``, ``local`` and so on. Raises KeyError."""
    [name] = [name for name in _HOMES if name.lower() == kind] or [kind]
    found: type[Launcher] = getattr(import_module(_HOMES[name]), name)
    return found


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
