"""What a program changes of other modules' before it builds a flow, as far as its text shows: nobody does so there."""

from __future__ import annotations

import ast
import sys
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.flow import FlowGraph
from runner.publishing.import_statements import is_guard
from runner.publishing.parsing import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHANGING = {
    "add",
    "append",
    "appendleft",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "remove",
    "setdefault",
    "update",
}
_CONTAINERS = (list, dict, set, deque)
_TOLD_ELSEWHERE = ("sys.", "os.environ")  # of the process, and see `runner.publishing.set_variables`
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = _FUNCTIONS | ast.ClassDef | ast.Lambda


class Change(NamedTuple):
    """A line of a program, and what it changes, as it stands there."""

    file: str
    line: int
    what: str

    @property
    def note(self) -> str:
        """What to say of it."""
        return (
            f"note: {self.file}, line {self.line}: {self.what} is changed here, and not where the flow runs; change it "
            "where its own module, or the flow's file, is imported"
        )


def changes_by_program(module: ModuleType | None) -> list[Change]:
    """Return what the program in this process changes of what it imports, but for flows.

    Args:
        module: the flow's; what that does when it is imported is done where the flow runs, too.
    """
    program = sys.modules["__main__"]
    file = Path(getattr(program, "__file__", None) or "")
    try:
        tree = parsed(file)
    except (OSError, SyntaxError, ValueError):
        return []
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name.partition(".")[0] for each in imports for alias in each.names}
    begun: list[ast.stmt] = [] if program is module else [each for each in tree.body if not isinstance(each, _SCOPES)]
    begun += [line for each in tree.body if isinstance(each, ast.If) and is_guard(each) for line in each.body]
    found = {}
    for part in _executed(begun, {each.name: each for each in tree.body if isinstance(each, _FUNCTIONS)}):
        for target in _changed(part):
            what = ast.unparse(target)
            if _root(target) in names and not what.startswith(_TOLD_ELSEWHERE) and _is_others(target, part, program):
                found[part.lineno, what] = Change(file.name, part.lineno, what)
    return [found[each] for each in sorted(found)]


def _executed(
    begun: list[ast.stmt], functions: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]
) -> Iterator[ast.stmt | ast.expr]:
    """Yield what is executed of lines, and of the functions of their file that they call by name."""
    waiting: list[ast.AST] = list(begun)
    seen = set[str]()
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id not in seen:
            seen.add(part.func.id)
            waiting += functions[part.func.id].body if part.func.id in functions else []
        if isinstance(part, ast.stmt | ast.expr):
            yield part
        waiting += [] if isinstance(part, _SCOPES) else ast.iter_child_nodes(part)


def _changed(part: ast.stmt | ast.expr) -> list[ast.expr]:
    """Return attributes and items that are assigned, and containers of which a method changes them."""
    if isinstance(part, ast.Assign | ast.Delete):
        targets = part.targets
    elif isinstance(part, ast.AugAssign | ast.AnnAssign):
        targets = [part.target]
    elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _CHANGING:
        return [part.func.value]
    else:
        return []
    return [each for each in targets if isinstance(each, ast.Attribute | ast.Subscript)]


def _root(target: ast.expr) -> str | None:
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
        target = target.func if isinstance(target, ast.Call) else target.value
    return target.id if isinstance(target, ast.Name) else None


def _is_others(target: ast.expr, part: ast.AST, program: ModuleType) -> bool:
    """Return whether it is nothing of a flow's that is changed, and of what has a method called a container."""
    if isinstance(part, ast.Call):
        return isinstance(_value(target, program), _CONTAINERS)
    held: Any = target
    while isinstance(held, ast.Attribute | ast.Subscript):
        held = held.value
        if isinstance(_value(held, program), FlowGraph):
            return False
    return True


def _value(target: ast.expr, program: ModuleType) -> Any:
    """Return what a name in a program is, or one in a module that this is; None if that cannot be told."""
    if isinstance(target, ast.Name):
        return vars(program).get(target.id)
    home = _value(target.value, program) if isinstance(target, ast.Attribute) else None
    return vars(home).get(target.attr) if isinstance(home, ModuleType) and isinstance(target, ast.Attribute) else None
