"""What the import statements of a flow's file bind there: it comes from the same module where the flow runs."""

from __future__ import annotations

import ast
import sys
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import FlowFailed
from runner.publishing.parsing import parsed
from runner.serialization.flow_pickler import Bindings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
_MISSING = object()


def bindings_of(module: ModuleType | None) -> Bindings:
    """Return what a module has by import statements at its top level, as far as it still is what they bound.

    Nothing for a notebook, which has no file, and for a file that is no source.
    """
    file = getattr(module, "__file__", None)
    if module is None or not file or Path(file).suffix != ".py":
        return Bindings()
    names: dict[str, tuple[str, str]] = {}
    submodules: set[str] = set()
    try:
        tree = parsed(Path(file))
    except (OSError, SyntaxError, ValueError) as error:
        message = f"{file} cannot be read as it was when it was imported: {error}"
        raise FlowFailed(message, hint="Build it again.") from error
    for statement in _imports(tree):
        if isinstance(statement, ast.Import):
            submodules |= {alias.name for alias in statement.names if "." in alias.name and alias.asname is None}
            continue
        source = _source(statement, module.__package__ or "")
        for alias in statement.names:
            bound = _public_names(source) if alias.name == "*" else [alias.name]
            names |= {alias.asname or name: (source, name) for name in bound}
    still = {name: home for name, home in names.items() if _still(module, name, home)}
    return Bindings(still, frozenset(submodules), frozenset(_given(tree)))


def _given(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Yield the qualified names of classes whose statements give ``__init_subclass__`` an argument."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.ClassDef):
            if any(each.arg != "metaclass" for each in child.keywords):
                yield f"{prefix}{child.name}"
            yield from _given(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _given(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _given(child, prefix)


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, _SCOPES):
            yield from _imports(child)


def _source(statement: ast.ImportFrom, package: str) -> str:
    name = statement.module or ""
    return resolve_name("." * statement.level + name, package) if statement.level and package else name


def _public_names(source: str) -> list[str]:
    held = vars(sys.modules[source]) if source in sys.modules else {}
    return list(held.get("__all__", [name for name in held if not name.startswith("_")]))


def _still(module: ModuleType, name: str, home: tuple[str, str]) -> bool:
    """Return whether a name is what the other module has, and no module itself, which is imported by its own name."""
    source, there = home
    if source in {"__future__", module.__name__} or source not in sys.modules:
        return False
    value = vars(module).get(name, _MISSING)
    found = getattr(sys.modules[source], there, _MISSING)
    return value is found and value is not _MISSING and not isinstance(value, type(sys))
