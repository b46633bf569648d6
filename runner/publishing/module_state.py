"""What the author's modules besides the flow's file are where they are loaded: what a program did to them is not there.

A constant or a function that is another one there is surely wrong. Other variables may be what runs have left, a cache
for example; whoever reads the build is told of them.
"""

from __future__ import annotations

import sys
from functools import _lru_cache_wrapper
from os.path import dirname
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from runner.model.arguments import PLAIN
from runner.publishing.features import Feature
from runner.publishing.telling import OF_PYTHON, Seen, Teller, digest, essence

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

_MOST = 2000  # parts looked at in one variable


def state_of(seen: Seen) -> Iterator[Feature]:
    """Yield what can be compared of the modules that travel beside the flow's file, as far as they are loaded."""
    for name in sorted({*seen.modules} - {seen.module}):
        module = sys.modules.get(name)
        if module is None:
            continue
        yield Feature(f"the module {name}", "")
        told = Teller(seen._replace(root=_root_of(module)), _MOST).told
        for variable, held in sorted(vars(module).items()):
            kind = type(held)
            if kind is FunctionType and held.__module__ == name:
                yield Feature(f"the function {variable} of {name}", digest(essence(held.__code__)))
            if variable.isupper() and issubclass(kind, PLAIN):
                yield Feature(f"the constant {variable} of {name}", told(held))
            elif not OF_PYTHON.fullmatch(variable) and not issubclass(kind, ModuleType):
                yield Feature(f"the variable {variable} of {name}", _state(held, told))


def is_missing(feature: Feature, there: Container[str]) -> bool:
    """Return whether a variable of a module is not where that module is; ``there`` are labels of what is."""
    return feature.is_state and f"the module {feature.label.rpartition(' of ')[2]}" in there


def _state(held: Any, told: Callable[[Any], str]) -> str:
    try:
        cached = str(held.cache_info().currsize) if type(held) is _lru_cache_wrapper else ""
        return f"{told(held)} {cached}"
    except Exception:  # noqa: BLE001 - whatever objects of an author's do when they are looked at
        return ""


def _root_of(module: ModuleType) -> str:
    """Return the folder that a module is imported from, which has another name where the flow runs."""
    name, file = module.__name__, getattr(module, "__file__", None) or ""
    for _ in range(name.count(".") + 1 + ("__path__" in vars(module))):
        file = dirname(file)  # noqa: PTH120 - for each module, as text
    return file
