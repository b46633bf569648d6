"""Which functions and classes of a flow's file its author's other modules keep, such as in a registry of handlers."""

from __future__ import annotations

import sys
from itertools import islice
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_DEEPEST = 3  # steps from a variable into what it holds
_WIDEST = 1000  # parts looked at in each


class Kept(NamedTuple):
    """A module's variable, and the name of what it keeps."""

    module: str
    variable: str
    name: str


def kept_by(modules: Iterable[str], own: str) -> list[tuple[Kept, FunctionType | type]]:
    """Return what loaded modules keep in their variables, with where that is; not what is a key, as in a cache.

    Args:
        modules: names of modules that travel as files.
        own: the name of the module that is the flow's file.
    """
    loaded = [sys.modules[name] for name in modules if name in sys.modules and name != own]
    names = [module.__name__ for module in loaded]
    return [
        (Kept(module.__name__, variable, value.__qualname__), value)
        for module in loaded
        for variable, held in list(vars(module).items())
        for value in _found_in(held, own, names, 0)
    ]


def _found_in(value: Any, own: str, modules: Collection[str], depth: int) -> Iterator[FunctionType | type]:
    value = value.function if isinstance(value, Task) else value
    if isinstance(value, FunctionType | type) and value.__module__ == own:
        yield value
    elif depth < _DEEPEST:
        for part in islice(_parts_of(value, modules), _WIDEST):
            yield from _found_in(part, own, modules, depth + 1)


def _parts_of(value: Any, modules: Collection[str]) -> Iterable[Any]:
    """Return what a container holds, or the attributes of what the modules made."""
    if isinstance(value, dict | MappingProxyType):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, ModuleType):
        return []
    is_theirs = getattr(value if isinstance(value, FunctionType | type) else type(value), "__module__", "") in modules
    return list(vars(value).values()) if is_theirs and hasattr(value, "__dict__") else []
