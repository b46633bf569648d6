"""Import statements: what a file or a function imports, and what it can do without."""

from __future__ import annotations

import ast
import dis
from importlib.util import resolve_name
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import FlowFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FunctionType

_FORGIVEN = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def imported_in(functions: Iterable[FunctionType]) -> set[str]:
    """Return the modules that functions import when called, but for those whose absence they handle.

    ``from a import b`` gives ``a`` and ``a.b``, which may be no module.
    """
    found: set[str] = set()
    guarded: dict[str, set[str]] = {}
    for function in functions:
        filename = function.__code__.co_filename
        if filename not in guarded:
            guarded[filename] = _guarded(Path(filename))
        found |= {name for name in _imported_by(function.__code__) if name.split(".")[0] not in guarded[filename]}
    return found


def _imported_by(code: CodeType) -> Iterator[str]:
    steps = list(dis.get_instructions(code))
    for level, names, step in zip(steps, steps[1:], steps[2:], strict=False):
        if step.opname == "IMPORT_NAME" and not level.argval:  # relative ones are the author's
            yield str(step.argval)
            yield from (f"{step.argval}.{name}" for name in names.argval or ())
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _imported_by(constant)


def _guarded(path: Path) -> set[str]:
    """Return the modules whose absence a file handles: imported in a try that catches ImportError, and nowhere else."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()
    handled = {name for name, forgiven in _import_statements(tree, "") if forgiven}
    needed = {name for name, forgiven in _import_statements(tree, "") if not forgiven}
    return {name.split(".")[0] for name in handled} - {name.split(".")[0] for name in needed}


def imports_of(path: Path, package: str) -> list[tuple[str, bool]]:
    """Return what a file imports, anywhere in it, with whether the file can do without. Raises FlowFailed."""
    if path.suffix != ".py":
        return []
    try:
        return list(_import_statements(ast.parse(path.read_bytes(), str(path)), package))
    except (SyntaxError, ValueError) as error:
        message = f"{path} cannot be parsed: {error}"
        raise FlowFailed(message, hint="Mend it, or leave it out with exclude=[…].") from error


def _import_statements(tree: ast.AST, package: str, *, forgiven: bool = False) -> Iterator[tuple[str, bool]]:
    if isinstance(tree, ast.Import):
        yield from ((alias.name, forgiven) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        name = tree.module or ""
        if tree.level:
            try:
                name = resolve_name("." * tree.level + name, package)
            except ImportError:
                return
        yield name, forgiven
        yield from ((f"{name}.{alias.name}", forgiven) for alias in tree.names)  # a submodule, or just a name in it
    else:
        optional = set(_optional(tree))
        for child in ast.iter_child_nodes(tree):
            yield from _import_statements(child, package, forgiven=forgiven or child in optional)


def _optional(tree: ast.AST) -> list[ast.stmt]:
    """Return the part of a statement whose imports may fail, or are never made."""
    optional = (
        (isinstance(tree, ast.If) and _names([tree.test]) == {"TYPE_CHECKING"})
        or (isinstance(tree, ast.Try) and any(_forgives(handler.type) for handler in tree.handlers))
        or (isinstance(tree, ast.With) and any(_suppresses(item.context_expr) for item in tree.items))
    )
    return tree.body if optional else []  # type: ignore[attr-defined]


def _forgives(caught: ast.expr | None) -> bool:
    return caught is None or bool(_FORGIVEN & _names(caught.elts if isinstance(caught, ast.Tuple) else [caught]))


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _names([context.func]) == {"suppress"}
        and bool(_FORGIVEN & _names(context.args))
    )


def _names(expressions: Iterable[ast.expr]) -> set[str]:
    """Return the last part of each name: ``suppress`` for ``contextlib.suppress``."""
    return {getattr(each, "attr", getattr(each, "id", "")) for each in expressions}
