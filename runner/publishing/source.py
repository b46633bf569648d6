"""By what a flow is found where its file travels: the name of the file's module there, and the flow's name in it."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.task import Task
from runner.publishing.import_statements import is_below_guard
from runner.serialization.foreign import ForeignCall, Prefect1Run
from runner.serialization.prefect_states import is_flow

if TYPE_CHECKING:
    from types import ModuleType

    from runner.model.flow import FlowGraph


class Source(NamedTuple):
    """The file that defines a flow, the name that its module has where the flow runs, and what it calls the flow.

    ``name`` is None where no variable of the file is the flow, and ``alias`` another name of the module, if it has one.
    """

    file: Path
    module: str
    name: str | None
    alias: str | None = None

    @property
    def place(self) -> str:
        """Where the file lies there, below the folder of what travels."""
        folder = self.module.replace(".", "/")
        return f"{folder}/__init__.py" if self.file.name == "__init__.py" else f"{folder}.py"


def source_of(flow: FlowGraph, module: ModuleType | None) -> Source | None:
    """Return by what a flow is found in its file; None in a notebook, and for one that is not made by its import.

    Flows of Prefect are not looked for: whatever runs one when its file is imported would run it there.
    """
    file = getattr(module, "__file__", None)
    if module is None or not file or not file.endswith(".py") or not Path(file).is_file():
        return None
    names = [name for name, value in vars(module).items() if value is flow or _is_function_of(flow, value)]
    is_foreign = any(isinstance(node.task.function, ForeignCall | Prefect1Run) for node in flow.nodes)
    if not names and (is_foreign or not flow.made_at or is_below_guard(Path(file), flow.made_at)):
        return None
    alias = "__main__" if module.__name__ == "__main__" else None
    return Source(Path(file), _name_there(module, Path(file)), names[0] if names else None, alias)


def module_name(path: Path) -> str:
    """Return the name under which a file is imported that belongs to no package: its own, if nobody else's."""
    name = path.stem
    if name.isidentifier() and not name.startswith("__") and not _names_another_module(name, path):
        return name
    return f"flow_of_{name.replace('.', '_')}"  # a dot would make its first part a package


def _is_function_of(flow: FlowGraph, value: Any) -> bool:
    """Return whether a value is the function that all of a flow is made of, or the task that calls it."""
    called = flow.nodes[0].task.function if len(flow.nodes) == 1 else None
    if not isinstance(called, ForeignCall) or not isinstance(called.function, FunctionType) or is_flow(called.function):
        return False
    return value is called.function or (isinstance(value, Task) and value.function is called.function)


def _name_there(module: ModuleType, file: Path) -> str:
    if module.__name__ != "__main__":
        return module.__name__
    return module.__spec__.name if module.__spec__ else module_name(file)


def _names_another_module(name: str, path: Path) -> bool:
    """Return whether a name stands for another module than the file, or would if the file's folder were not there."""
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(path):
        return True
    elsewhere = [place for place in sys.path if Path(place).absolute() != path.parent]
    spec = find_spec(name) if name not in sys.modules else None
    specs = [spec, PathFinder.find_spec(name, elsewhere)]
    return any(spec is not None and spec.origin != str(path) for spec in specs)
