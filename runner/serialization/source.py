"""A flow whose file travels: the file is imported where the flow runs, as a module among others."""

from __future__ import annotations

import builtins
import pickle
import sys
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

import cloudpickle

from runner.errors import FlowFailed
from runner.model.loading import is_loading, loading, without_arguments
from runner.serialization.known_classes import know_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


def import_flow(module: str, name: str | None, flow: str, alias: str | None = None) -> Any:
    """Import the file of a flow, and return the flow: the pickle in a bundle calls this.

    Meanwhile ``build()``, ``run()`` and what ``print`` writes to standard output do nothing, and the file finds no
    arguments of a command line. What a task returns of the module's travels by value, to be read where it is not.

    Args:
        module: the name of its module.
        name: that of the variable that is the flow, or the function of which one is made; None if there is none.
        flow: the flow's own name, by which it is found if one flow of that name is made meanwhile.
        alias: another name of the module: ``__main__``, where the file was run as a program.

    Raises FlowFailed when there is no such flow; what the file raises comes through.
    """
    with loading(module) as load, _without_prints(), without_arguments(f"{module.replace('.', '/')}.py"):
        _forget_former(module)
        found = _import_as(module, alias) if alias else import_module(module)
    cloudpickle.register_pickle_by_value(found)
    know_classes(found)
    made = [each for each in load.made if getattr(each, "name", None) == flow]
    if len(made) == 1:
        return made[0]
    if name not in vars(found):
        message = f"{module} makes no flow {flow!r} when it is imported, as it did where the flow was built"
        raise FlowFailed(message, hint="Make it at the top level of the file, not below «if __name__ == '__main__':».")
    return vars(found)[name]


import_flow.__module__ = "runner"  # see runner.model.flow.FlowGraph


def dump_import(module: str, name: str | None, flow: str, alias: str | None = None) -> bytes:
    """Return the pickle that calls `import_flow`."""
    return pickle.dumps(_Import((module, name, flow, alias)), protocol=5)


class _Import:
    """Is pickled as a call of `import_flow`."""

    def __init__(self, arguments: tuple[str | None, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str | None, ...]]:
        return import_flow, self._arguments


def _import_as(name: str, alias: str) -> ModuleType:
    """Import a module that other modules find by another name as well, from its beginning."""
    spec = find_spec(name)
    if name in sys.modules or spec is None or spec.loader is None:
        sys.modules[alias] = import_module(name)
        return sys.modules[alias]
    sys.modules[name] = sys.modules[alias] = module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[name])
    except BaseException:
        del sys.modules[name]
        raise
    return sys.modules[name]


def _forget_former(name: str) -> None:
    """Forget a module of that name that is another file's, as where several flows are loaded in one process."""
    former = sys.modules.pop(name, None)
    if former is not None:
        spec = find_spec(name)
        if spec is not None and spec.origin == getattr(former, "__file__", None):
            sys.modules[name] = former


@contextmanager
def _without_prints() -> Iterator[None]:
    """Have ``print`` write nothing to standard output while a flow is loaded, also where it is kept for later."""
    original, stdout = builtins.print, sys.stdout  # the file may have another one, to catch what is printed

    @wraps(original)
    def print_unless_loading(*values: Any, **options: Any) -> None:
        file = options.get("file")
        if not is_loading() or (sys.stdout if file is None else file) is not stdout:
            original(*values, **options)

    builtins.print = print_unless_loading
    try:
        yield
    finally:
        if builtins.print is print_unless_loading:  # and none of the file's own
            builtins.print = original
