"""Where in a flow, or in a value, something sits: what cannot be pickled, or what must not travel."""

from __future__ import annotations

from contextlib import suppress
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.model.flow import FlowGraph

_DEEPEST = 6  # steps into a value in search of what cannot be pickled
_WIDEST = 100  # parts looked at in each step


def blame(value: Any, path: str, error: BaseException, pickle: Callable[[Any], object], depth: int = 0) -> str:
    """Return where the innermost part that cannot be pickled is, and why: ``result['db'].lock: cannot pickle …``."""
    if depth < _DEEPEST:
        for step, part in _parts(value):
            try:
                pickle(part)
            except Exception as deeper:  # noqa: BLE001 - any failure is what is looked for
                return blame(part, path + step, deeper, pickle, depth + 1)
    return f"{path}: {type(value).__name__}: {error}"


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        parts = [(f"[{key!r}]", part) for key, part in list(value.items())[:_WIDEST]]
    elif isinstance(value, list | tuple):
        parts = [(f"[{index}]", part) for index, part in enumerate(value[:_WIDEST])]
    elif isinstance(value, FunctionType):
        names = value.__code__.co_names
        parts = [(f" → {name}", value.__globals__[name]) for name in names if name in value.__globals__]
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        parts += [(f" → {name}", part) for name, cell in cells for part in _contents(cell)]
    elif isinstance(value, ModuleType | type):
        parts = []
    else:
        slots = (name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()))
        attributes = [*getattr(value, "__dict__", {}), *slots][:_WIDEST]
        parts = [(f".{name}", getattr(value, name)) for name in attributes if hasattr(value, name)]
    return [(step, part) for step, part in parts if part is not value]


def _contents(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing was ever put into it
        return []


def locate(flow: FlowGraph, functions: list[FunctionType], holds: Callable[[bytes], bool]) -> str:
    """Return where in a flow, or in the functions that travel in it by value, something sits; empty if it is not found.

    ``holds`` is called with the pickle of one part after the other.
    """
    for label, part in _named_parts(flow, functions):
        if not isinstance(part, FunctionType | ModuleType | type):
            with suppress(Exception):  # what cannot be pickled alone is not what it is found in
                if holds(cloudpickle.dumps(part)):
                    return label
    return ""


def _named_parts(flow: FlowGraph, functions: list[FunctionType]) -> Iterator[tuple[str, Any]]:
    for function in functions:
        code, name = function.__code__, function.__qualname__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        yield from (
            (f"the closure variable {free} of {name}", part) for free, cell in cells for part in _contents(cell)
        )
        used = [free for free in code.co_names if free in function.__globals__]
        yield from ((f"the variable {free}, which {name} uses", function.__globals__[free]) for free in used)
        yield f"a default of {name}", (function.__defaults__, function.__kwdefaults__)
        yield f"the code of {name}", [part for part in code.co_consts if not isinstance(part, CodeType)]
        yield f"an attribute or the docstring of {name}", (function.__dict__, function.__doc__)
    yield from (
        (f"the default of parameter {each.name}", each.default) for each in flow.parameters if not each.required
    )
    yield from ((f"an argument of task {node.name}", (node.args, node.kwargs)) for node in flow.nodes)
