"""A flow whose file travels: the file is imported where the flow runs, as a module among others."""

from __future__ import annotations

import builtins
import pickle
import sys
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cloudpickle

from runner.errors import FlowFailed
from runner.model.loading import is_loading, loading, without_arguments
from runner.serialization.known_classes import know_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def import_flow(module: str, name: str) -> Any:
    """Import the file of a flow, and return what the flow is called there: the pickle in a bundle calls this.

    Meanwhile ``build()``, ``run()`` and what ``print`` writes to standard output do nothing, and the file finds no
    arguments of a command line. What a task returns of the module's travels by value, to be read where it is not.

    Raises FlowFailed when nothing has the name; what the file raises comes through.
    """
    with loading(), _without_prints(), without_arguments():
        _forget_former(module)
        found = import_module(module)
    cloudpickle.register_pickle_by_value(found)
    know_classes(found)
    if name not in vars(found):
        message = f"{module} has nothing of the name {name}, as it had where the flow was built"
        raise FlowFailed(message, hint="What the file does when it is imported must be the same there.")
    return vars(found)[name]


import_flow.__module__ = "runner"  # see runner.model.flow.FlowGraph


def dump_import(module: str, name: str) -> bytes:
    """Return the pickle that calls `import_flow`."""
    return pickle.dumps(_Import(module, name), protocol=5)


class _Import:
    """Is pickled as a call of `import_flow`."""

    def __init__(self, module: str, name: str) -> None:
        self._arguments = module, name

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return import_flow, self._arguments


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
