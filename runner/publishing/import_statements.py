"""What a file or a function imports, by statements and by calls, and what it can do without."""

from __future__ import annotations

import ast
import dis
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import FlowFailed
from runner.publishing.import_calls import Beside, Calls, Import, Unknown, Whole, absolute
from runner.publishing.parsing import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType, FunctionType

_PADDING = {"CACHE", "EXTENDED_ARG", "PRECALL", "PUSH_NULL"}  # which there are differs between versions of Python
_CALLED = {"import_module", "__import__"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
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
    steps = [step for step in dis.get_instructions(code) if step.opname not in _PADDING]
    for level, names, step in zip(steps, steps[1:], steps[2:], strict=False):
        if step.opname == "IMPORT_NAME" and not level.argval:  # relative ones are the author's
            yield str(step.argval)
            yield from (f"{step.argval}.{name}" for name in names.argval or ())
        elif level.argval in _CALLED and isinstance(names.argval, str) and step.opname == "CALL":
            yield from [names.argval] if names.opname == "LOAD_CONST" and names.argval[:1] != "." else []
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _imported_by(constant)


def _guarded(path: Path) -> set[str]:
    """Return the modules whose absence a file handles: imported in a try that catches ImportError, and nowhere else."""
    try:
        tree = parsed(path)
    except (OSError, SyntaxError, ValueError):
        return set()
    found = [each for each in _found_in(tree, Calls(tree, "", None)) if not isinstance(each, Unknown)]
    handled = {each.name.split(".")[0] for each in found if each.forgiven}
    return handled - {each.name.split(".")[0] for each in found if not each.forgiven}


def imports_of(path: Path, package: str, *, is_flow: bool = False) -> list[Import | Whole | Unknown | Beside]:
    """Return what a file imports, anywhere in it, what is only known when it runs, and the paths that it names.

    Raises FlowFailed.

    Args:
        path: of the file.
        package: of which it is a part.
        is_flow: whether it is the flow's own, of whose functions only some may run, and which is no program there.
    """
    if path.suffix != ".py":
        return []
    parts = [*filter(None, package.split(".")), *([path.stem] if path.stem != "__init__" else [])]
    try:
        tree = parsed(path)
        calls = Calls(tree, package, None if is_flow else ".".join(parts), path.name)
        return [*_found_in(tree, calls, is_flow=is_flow), *_paths_in(tree, calls)]
    except (SyntaxError, ValueError) as error:
        message = f"{path} cannot be parsed: {error}"
        raise FlowFailed(message, hint="Mend it, or leave it out with exclude=[…].") from error


def _found_in(
    tree: ast.AST, calls: Calls, *, forgiven: bool = False, is_flow: bool = False
) -> Iterator[Import | Whole | Unknown]:
    if isinstance(tree, ast.Import):
        yield from (Import(alias.name, forgiven) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        name = absolute(tree.module or "", tree.level, calls.package)
        if name:
            yield Import(name, forgiven)
            # a submodule, or just a name in it
            yield from (Import(f"{name}.{alias.name}", forgiven) for alias in tree.names)
    else:
        if isinstance(tree, ast.Call):
            yield from calls.found_in(tree, forgiven=forgiven)
        optional = set(_optional(tree))
        for child in ast.iter_child_nodes(tree):
            is_later = is_flow and (isinstance(child, FUNCTIONS) or is_guard(tree))
            found = _found_in(child, calls, forgiven=forgiven or is_later or child in optional, is_flow=is_flow)
            yield from (each for each in found if not (is_guard(tree) and isinstance(each, Unknown)))


def _paths_in(tree: ast.AST, calls: Calls, user: ast.AST | None = None) -> Iterator[Beside]:
    """Yield the whole paths that are made of the file's own, but for those that only a program makes."""
    if not calls.names_files or (isinstance(tree, ast.Assign | ast.AnnAssign) and calls.is_made_for_later(tree)):
        return
    if isinstance(tree, ast.expr) and (program := calls.program_in(tree)):
        yield Beside(tree.lineno, (), is_open=False, program=program)
        return
    place = calls.place(tree) if isinstance(tree, ast.expr) else None
    if place is not None and isinstance(tree, ast.expr):
        yield Beside(tree.lineno, place, user is not None and calls.leaves_open(user, tree))
        return
    for child in tree.orelse if isinstance(tree, ast.If) and is_guard(tree) else ast.iter_child_nodes(tree):
        yield from _paths_in(child, calls, tree)


def paths_of(path: Path, package: str) -> set[str]:
    """Return the variables of a file that are paths made of its own: it makes them anew wherever it is imported."""
    tree = parsed(path)
    calls = Calls(tree, package, None, path.name)
    return {"__file__", *(name for name, value in calls.assigned.items() if calls.place(value) is not None)}


def line_of_import(path: Path, name: str) -> int | None:
    """Return the line in which a file imports a module, or something from it."""
    if path.suffix == ".py":
        for each in ast.walk(parsed(path)):
            if isinstance(each, ast.Import) and name in {alias.name.partition(".")[0] for alias in each.names}:
                return each.lineno
            if isinstance(each, ast.ImportFrom) and not each.level and (each.module or "").partition(".")[0] == name:
                return each.lineno
    return None


def is_below_guard(path: Path, line: int) -> bool:
    """Return whether a line of a file is only executed where the file is run as a program."""
    try:
        tree = parsed(path)
    except (OSError, SyntaxError, ValueError):
        return False
    guarded = [each for each in ast.walk(tree) if is_guard(each)]
    return any(each.lineno <= line <= (each.end_lineno or 0) for each in guarded if isinstance(each, ast.If))


def is_guard(tree: ast.AST) -> bool:
    """Return whether it is the part of a file that is only run as a program, which it is not where the flow runs."""
    return isinstance(tree, ast.If) and isinstance(tree.test, ast.Compare) and _names([tree.test.left]) == {"__name__"}


def _optional(tree: ast.AST) -> list[ast.stmt]:
    """Return the part of a statement whose imports may fail, or are never made."""
    optional = (
        (isinstance(tree, ast.If) and _names([tree.test]) == {"TYPE_CHECKING"})
        or (isinstance(tree, ast.Try) and any(_forgives(handler.type) for handler in tree.handlers))
        or (isinstance(tree, ast.With) and any(_suppresses(item.context_expr) for item in tree.items))
    )
    return tree.body if optional else []  # type: ignore[attr-defined]  # each of the three has one


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
