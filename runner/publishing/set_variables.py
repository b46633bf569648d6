"""Which variables of the environment are set by the program that builds a flow: a container sets what its file does."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.environ import environ_at_start, set_since
from runner.publishing.import_statements import FUNCTIONS, is_guard
from runner.publishing.parsing import parsed
from runner.publishing.read_variables import EVERYWHERE
from runner.tracebacks import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# what Python, runner, pytest, debuggers and notebooks set in a process of theirs
_OTHERS = ("LC_CTYPE", "RUNNER_", "PREFECT_LOGGING_", "PYTEST_", "COVERAGE_", "PYDEVD_", "JPY_", "IPY")
_OF_NOTEBOOKS = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "GIT_PAGER", "MPLBACKEND", "PAGER", "COLUMNS", "LINES"}
_SET_ONE = {"__setitem__", "putenv", "setdefault", "setenv"}
_READ_FILES = {"load_dotenv", "read_env"}  # of python-dotenv, of environs and django-environ


def set_here(root: str) -> dict[str, str]:
    """Return the variables that this process, or an author's program in it, has set, with digests of their values.

    ``root`` is the folder of the author's modules, which has another name elsewhere.
    """
    began = environ_at_start()
    values = set_since(began) if began is not None else {}
    theirs = {name for name in values if name.startswith(_OTHERS)} | EVERYWHERE | _OF_NOTEBOOKS
    return digests(values, values.keys() - theirs, root)


def digests(environ: Mapping[str, str], names: Iterable[str], root: str) -> dict[str, str]:
    """Return digests of the values of variables, which are the same wherever the author's modules lie."""
    values = {name: environ[name] for name in sorted(names) if name in environ}
    told = {name: value.replace(root, "<its folder>") if root else value for name, value in values.items()}
    return {name: hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest() for name, value in told.items()}


def note_of(names: Iterable[str], file: str | None, root: str, *, is_imported: bool) -> str:
    """Return what to say of variables that are set here alone.

    Args:
        names: theirs.
        file: the flow's.
        root: the folder of the author's modules.
        is_imported: whether the flow's file is imported where the flow runs.
    """
    loaded = [getattr(module, "__file__", None) or "" for module in [sys.modules["__main__"], *sys.modules.values()]]
    own = [each for each in loaded if Path(each).is_relative_to(root) and not INSTALLED & set(Path(each).parts)]
    files = dict.fromkeys(filter(None, [file, loaded[0], *own]))
    settings = [each for path in files for each in _settings_in(Path(path))]
    lines = {name: _line_of(name, settings) for name in names}
    told = [
        f"{name} ({f'{at.file.name}, line {at.line}' if at else 'set by this program'})" for name, at in lines.items()
    ]
    is_there = is_imported and any(at and at.is_import and str(at.file) == file for at in lines.values())
    instead = "at the top of the flow's file" if is_imported else "in the task"
    advice = "pass it with -e NAME=VALUE" + ("" if is_there else f", or set it {instead}")
    return f"note: set here and not where the flow runs: {', '.join(told)}; {advice}"


class _Setting(NamedTuple):
    """A line that sets a variable, whose name is None if that is only known when it runs, and if imports execute it."""

    name: str | None
    file: Path
    line: int
    is_import: bool


def _line_of(name: str, settings: list[_Setting]) -> _Setting | None:
    """Return the last line of a file that sets a variable or, if none is seen to, the only one that may."""
    if named := [each for each in settings if each.name == name]:
        return max((each for each in named if each.file == named[0].file), key=lambda each: each.line)
    unnamed = [each for each in settings if each.name is None]
    return unnamed[0] if len(unnamed) == 1 else None


def _settings_in(file: Path) -> list[_Setting]:
    try:
        return [_Setting(name, file, line, top) for name, line, top in _found_in(parsed(file), is_import=True)]
    except (OSError, SyntaxError, ValueError):
        return []


def _found_in(tree: ast.AST, *, is_import: bool) -> Iterator[tuple[str | None, int, bool]]:
    if isinstance(tree, ast.Subscript) and isinstance(tree.ctx, ast.Store):
        if (name := _text(tree.slice)) or _is_environ(tree.value):
            yield name, tree.lineno, is_import
    elif isinstance(tree, ast.AugAssign) and _is_environ(tree.target):
        yield from ((name, tree.lineno, is_import) for name in _keys(tree.value))
    elif isinstance(tree, ast.Call):
        yield from ((name, tree.lineno, is_import) for name in _called(tree))
    is_later = isinstance(tree, FUNCTIONS) or is_guard(tree)
    for child in ast.iter_child_nodes(tree):
        yield from _found_in(child, is_import=is_import and not is_later)


def _called(call: ast.Call) -> Iterator[str | None]:
    """Yield the variables that a call sets; None for those whose names it does not show."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    is_environ = isinstance(call.func, ast.Attribute) and _is_environ(call.func.value)
    if called in _SET_ONE and call.args and (is_environ or called in {"putenv", "setenv"} or _text(call.args[0])):
        yield _text(call.args[0])
    elif called in _READ_FILES:
        yield None
    elif called == "update" and is_environ:
        yield from (name for value in call.args for name in _keys(value))
    yield from (each.arg for each in call.keywords if each.arg)


def _keys(value: ast.expr) -> list[str | None]:
    return [_text(key) for key in value.keys] if isinstance(value, ast.Dict) else [None]


def _is_environ(value: ast.expr) -> bool:
    return getattr(value, "attr", getattr(value, "id", "")) == "environ"


def _text(value: ast.expr | None) -> str | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
