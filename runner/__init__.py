"""Run a Python flow from a bucket in a container: the public names.

Each is imported when first used, so that the container's entry stays light.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.version import __version__

if TYPE_CHECKING:
    from runner.authoring.build import build_flow
    from runner.authoring.flow import Flow
    from runner.errors import FlowFailed
    from runner.logs import logger
    from runner.model.task import Parameter, Task, task, unmapped
    from runner.secrets.named import secret

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
    "Flow": "runner.authoring.flow",
    "FlowFailed": "runner.errors",
    "Parameter": "runner.model.task",
    "Task": "runner.model.task",
    "build_flow": "runner.authoring.build",
    "logger": "runner.logs",
    "secret": "runner.secrets.named",
    "task": "runner.model.task",
    "unmapped": "runner.model.task",
    # not for authors to import: what the pickles of flows and results may name
    "Destination": "runner.publishing.publish",
    "FlowGraph": "runner.model.flow",
    "ForeignCall": "runner.serialization.foreign",
    "ForeignFailed": "runner.serialization.prefect_states",
    "Interrupted": "runner.engine.interrupt",
    "Node": "runner.model.task",
    "Prefect1Run": "runner.serialization.foreign",
    "Published": "runner.publishing.publish",
    "Report": "runner.engine.report",
    "TaskCancelled": "runner.engine.interrupt",
    "TaskTimeout": "runner.engine.interrupt",
    "import_flow": "runner.serialization.source",
}


# Modules that 0.1.0 had, and where what was in them is now: pickles name them, which anybody may read with pickle.load.
_MOVED = {
    "runner.credentials": "runner",
    "runner.docker_image": "runner.storage",
    "runner.flow": "runner",
    "runner.foreign": "runner",
    "runner.interrupt": "runner",
    "runner.publish": "runner",
    "runner.report": "runner",
    "runner.storage.azure": "runner.storage",
    "runner.storage.declared": "runner.storage",
    "runner.storage.gcs": "runner.storage",
    "runner.storage.local": "runner.storage",
    "runner.storage.s3": "runner.storage",
    "runner.task": "runner",
    "runner.trace": "runner.errors",
}
_RENAMED = {
    "Declared": "StorageDeclaration",
    "DeclaredBucket": "BucketDeclaration",
    "_Called": "ForeignCall",
    "_Prefect1": "Prefect1Run",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of the module's

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            message = f"module 'runner' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules["runner"])
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


def _stand_in(moved: str) -> None:
    """Put a module in a moved one's place. Importing that as a submodule would hide the function `task` behind it.

    Whoever goes through all modules and asks what is in them (`inspect` does) is told: nothing.
    """

    def look_up(name: str) -> object:
        if name.startswith("__"):
            message = f"module {moved!r} has no attribute {name!r}"
            raise AttributeError(message)
        from importlib import import_module

        return getattr(import_module(_MOVED[moved]), _RENAMED.get(name, name))

    module = type(sys)(moved)
    vars(module)["__getattr__"] = look_up
    sys.modules[moved] = module


for _moved in _MOVED:
    _stand_in(_moved)
