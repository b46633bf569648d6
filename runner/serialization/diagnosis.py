"""Where in a flow, or in a value, something sits: what cannot be pickled, or what must not travel."""

from __future__ import annotations

import ast
import sys
from contextlib import suppress
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.model.flow import FlowGraph

_DEEPEST = 6  # steps into a value in search of what cannot be pickled
_WIDEST = 100  # parts looked at in each step


class Blamed(NamedTuple):
    """Where the innermost part that cannot be pickled is, and why; and what it is in, from the value to that part."""

    text: str
    trail: list[Any]


def blame(
    value: Any, path: str, error: BaseException, pickle: Callable[[Any], object], trail: tuple[Any, ...] = ()
) -> Blamed:
    """Find the innermost part that cannot be pickled: ``result['db'].lock: lock: cannot pickle …``."""
    trail = (*trail, value)
    if len(trail) <= _DEEPEST:
        for step, part in _parts(value):
            try:
                pickle(part)
            except Exception as deeper:  # noqa: BLE001 - any failure is what is looked for
                return blame(part, path + step, deeper, pickle, trail)
    return Blamed(f"{path}: {type(value).__name__}: {error}", list(trail))


def line_of(trail: list[Any], module: ModuleType | None) -> str:
    """Return where in the file that defines a flow the innermost part stands that stands there: ``etl.py, line 3: ``.

    Empty where none does, or there is no file.
    """
    file = getattr(module, "__file__", None)
    if module is None or not file or not file.endswith(".py"):
        return ""
    lines = _lines_of_names(Path(file))
    for part in reversed(trail):
        found = [lines[name] for name, value in vars(module).items() if value is part and name in lines]
        if isinstance(part, FunctionType) and part.__code__.co_filename == file:
            found.append(part.__code__.co_firstlineno)
        if found:
            return f"{Path(file).name}, line {found[0]}: "
    return ""


def _lines_of_names(file: Path) -> dict[str, int]:
    """Return the lines in which a file's own names are given what they last have."""
    lines: dict[str, int] = {}
    for each in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and each.col_offset == 0:
            lines[each.name] = each.lineno
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            lines.setdefault(each.id, each.lineno)
    return lines


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
    for label, part, place in _named_parts(flow, functions):
        if not isinstance(part, FunctionType | ModuleType | type):
            with suppress(Exception):  # what cannot be pickled alone is not what it is found in
                if holds(cloudpickle.dumps(part)):
                    line = place and line_of_name(*place)
                    return f"{label} ({line})" if line else label
    return ""


def line_of_name(function: FunctionType, name: str) -> str:
    """Return the line in which a function's variable is given its value, or the function begins: ``etl.py, line 3``."""
    code = function.__code__
    with suppress(OSError, SyntaxError):
        line = _lines_of_names(Path(code.co_filename)).get(name, code.co_firstlineno)
        return f"{Path(code.co_filename).name}, line {line}"
    return ""


def line_of_definition(value: FunctionType | type) -> str:
    """Return the line in which a function, with its decorators, or a class begins: ``etl.py, line 3``."""
    if isinstance(value, FunctionType):
        return line_of_name(value, "")
    return line_in(value.__module__, value.__name__)


def line_in(module: str, name: str) -> str:
    """Return the line in which a loaded module gives a variable its value: ``etl.py, line 3``."""
    file = getattr(sys.modules.get(module), "__file__", None)
    with suppress(OSError, SyntaxError, ValueError):
        line = _lines_of_names(Path(file)).get(name) if file else None
        return f"{Path(file).name}, line {line}" if file and line else ""
    return ""


def _named_parts(
    flow: FlowGraph, functions: list[FunctionType]
) -> Iterator[tuple[str, Any, tuple[FunctionType, str] | None]]:
    for function in functions:
        code, name = function.__code__, function.__qualname__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        here = function, ""
        yield from (
            (f"the closure variable {free} of {name}", part, here) for free, cell in cells for part in _contents(cell)
        )
        used = [free for free in code.co_names if free in function.__globals__]
        yield from (
            (f"the variable {free}, which {name} uses", function.__globals__[free], (function, free)) for free in used
        )
        yield f"a default of {name}", (function.__defaults__, function.__kwdefaults__), here
        yield f"the code of {name}", [part for part in code.co_consts if not isinstance(part, CodeType)], here
        yield f"an attribute or the docstring of {name}", (function.__dict__, function.__doc__), here
    yield from (
        (f"the default of parameter {each.name}", each.default, None) for each in flow.parameters if not each.required
    )
    yield from ((f"an argument of task {node.name}", (node.args, node.kwargs), None) for node in flow.nodes)
