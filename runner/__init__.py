"""Run a Python flow from a bucket in a container: the public names.

All but those of `runner.task` are imported when first used, so that the container's entry stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.task import Parameter, Task, task, unmapped  # at once: the function must hide the module of its name

if TYPE_CHECKING:
    from runner.credentials import secret
    from runner.errors import FlowFailed
    from runner.flow import Flow
    from runner.logs import logger
    from runner.publish import build_flow

__version__ = "0.1.0"
__all__ = [
    "Flow",
    "FlowFailed",
    "Parameter",
    "Task",
    "__version__",
    "build_flow",
    "logger",
    "secret",
    "task",
    "unmapped",
]

_HOMES = {
    "Flow": "runner.flow",
    "FlowFailed": "runner.errors",
    "build_flow": "runner.publish",
    "logger": "runner.logs",
    "secret": "runner.credentials",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'runner' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
