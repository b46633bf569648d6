"""Which variables of the environment are set by the program that builds a flow: a container sets what its file does."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runner.environ import environ_at_start, set_since
from runner.publishing.parsing import parsed
from runner.publishing.read_variables import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# what Python, runner, pytest, debuggers and notebooks set in a process of theirs
_OTHERS = ("LC_CTYPE", "RUNNER_", "PREFECT_LOGGING_", "PYTEST_", "COVERAGE_", "PYDEVD_", "JPY_", "IPY")
_OF_NOTEBOOKS = {"CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "GIT_PAGER", "MPLBACKEND", "PAGER", "COLUMNS", "LINES"}


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


def note_of(names: Iterable[str], file: str | None, *, is_imported: bool) -> str:
    """Return what to say of variables that are set here alone.

    Args:
        names: theirs.
        file: the flow's.
        is_imported: whether that is imported where the flow runs.
    """
    files = dict.fromkeys(each for each in (file, getattr(sys.modules["__main__"], "__file__", None)) if each)
    told = [f"{name}{next(filter(None, (_line_of(name, Path(file)) for file in files)), '')}" for name in names]
    instead = "at the top of the flow's file" if is_imported else "in the task"
    advice = f"pass it with -e NAME=VALUE, or set it {instead}"
    return f"note: set here and not where the flow runs: {', '.join(told)}; {advice}"


def _line_of(name: str, file: Path) -> str:
    """Return the last line of a program that sets a variable or, if none is seen to, the first one that names it."""
    try:
        tree = parsed(file)
    except (OSError, SyntaxError, ValueError):
        return ""
    lines = [
        -each.lineno if isinstance(each, ast.Constant) else each.lineno  # the first of those that may only read it
        for each in ast.walk(tree)
        if (isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Store) and _is_text(each.slice, name))
        or (isinstance(each, ast.keyword) and each.arg == name)
        or (isinstance(each, ast.expr) and _is_text(each, name))
    ]
    return f" ({file.name}, line {abs(max(lines))})" if lines else ""


def _is_text(value: ast.expr, text: str) -> bool:
    return isinstance(value, ast.Constant) and value.value == text
