"""What a program changes before it builds a flow, as far as its text shows: nobody does so where the flow runs."""

from __future__ import annotations

import ast
import sys
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.flow import FlowGraph
from runner.publishing.features import functions_of, names_of
from runner.publishing.import_calls import absolute
from runner.publishing.import_statements import is_guard
from runner.publishing.parsing import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

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
_ENVIRONS = {"os.environ", "environ"}
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = _FUNCTIONS | ast.ClassDef | ast.Lambda
_PARTS = ast.Attribute | ast.Subscript
_SETS = {"setattr", "delattr"}
_ANYTHING = {"exec", "eval", "setattr", "delattr"}  # of which it does not show what they change


class Change(NamedTuple):
    """A line of a program, what it changes, as it stands there, and the module and variable that this is."""

    file: str
    line: int
    what: str
    of: tuple[str, str] | None

    @property
    def place(self) -> str:
        """The file and the line."""
        return f"{self.file}, line {self.line}"

    @property
    def note(self) -> str:
        """What to say of it."""
        return (
            f"note: {self.place}: {self.what} is changed here, and not where the flow runs; change it "
            "where its own module, or the flow's file, is imported"
        )


def left_out(flow: FlowGraph, module: ModuleType) -> list[str]:
    """Return notes on lines of a flow's file, which was only imported, that change variables of its own that tasks use.

    They change what the program would publish, and nothing here.
    """
    functions = functions_of(flow, module.__name__)
    names = {name for function in functions for name in names_of(function.__code__)}
    return [
        f"note: {each.place}: {each.what} is changed here by python {each.file} alone: what stands below the guard is "
        "left out, and the flow is published as it was before"
        for each in Program(module, module).changes_of_own(names)
    ]


class Program:
    """The lines of the program in this process that are executed here alone.

    ``changes`` are what they change of what it imports, but for flows, each once; ``variables`` are those of the
    environment that they certainly set, each with the last line that does.

    Args:
        module: the one that is imported where the flow runs, too, with all that this does: the flow's, if it travels.
        program: the module that would be the program, where its file is only imported here.
    """

    def __init__(self, module: ModuleType | None, program: ModuleType | None = None) -> None:
        self._module = program or sys.modules["__main__"]
        self._file = Path(getattr(self._module, "__file__", None) or "")
        self._origins: dict[str, tuple[str, str]] = {}
        self._names = set[str]()
        self._parts: list[_Part] = []
        self.changes: list[Change] = []
        self.variables: dict[str, Change] = {}
        try:
            tree = parsed(self._file)
        except (OSError, SyntaxError, ValueError):
            return
        for each in ast.walk(tree):
            if isinstance(each, ast.Import | ast.ImportFrom):
                self._names |= {alias.asname or alias.name.partition(".")[0] for alias in each.names}
            if isinstance(each, ast.ImportFrom):
                home = absolute(each.module or "", each.level, getattr(self._module, "__package__", None) or "")
                self._origins |= {alias.asname or alias.name: (home, alias.name) for alias in each.names}
        begun = [] if self._module is module else [each for each in tree.body if not isinstance(each, _SCOPES)]
        begun += [line for each in tree.body if isinstance(each, ast.If) and is_guard(each) for line in each.body]
        functions = {each.name: each for each in tree.body if isinstance(each, _FUNCTIONS)}
        self._parts = list(_executed(begun, functions))
        self.changes = self._find_changes()
        self.variables = self._find_variables()

    def _find_changes(self) -> list[Change]:
        found = {}
        for part in self._parts:
            for target in part.changed:
                what = ast.unparse(target)
                is_named = _root(target) in self._names and not what.startswith(_TOLD_ELSEWHERE)
                is_bound = isinstance(target, ast.Name) and not isinstance(part.node, ast.Call)
                if is_named and not is_bound and _is_others(target, part.node, self._module):
                    found[part.node.lineno, what] = self._change(part.node, what, target)
        return [found[each] for each in sorted(found)]

    def _find_variables(self) -> dict[str, Change]:
        found: dict[str, Change] = {}
        for part in sorted(self._parts, key=lambda part: part.node.lineno):
            for target in part.changed if isinstance(part.node, ast.Assign) else ():
                held, name = getattr(target, "value", None), getattr(target, "slice", None)
                if held and ast.unparse(held) in _ENVIRONS and isinstance(name, ast.Constant):
                    found[str(name.value)] = self._change(part.node, ast.unparse(target), None)
        return found

    def change_of(self, module: str, name: str) -> Change | None:
        """Return the last line that changes a variable of a module or, if none shows that it does, that may have.

        Such is one that calls what the variable holds, or a function of the module that knows it, and one that executes
        a text, or sets an attribute that is not named.
        """
        best: dict[int, Change] = {}
        for part in self._parts:
            targets = [each for each in part.changed if self._of(each) == (module, name)]
            rank = 0 if targets else self._rank_of_call(part.node, module, name)
            if rank is not None and (rank not in best or best[rank].line <= part.node.lineno):
                best[rank] = self._change(part.node, name, None)
        return best[min(best)] if best else None

    def changes_of_own(self, names: AbstractSet[str]) -> list[Change]:
        """Return the lines that change variables of the program itself, each once."""
        found = {}
        for part in self._parts:
            for target in part.changed:
                home, name = self._of(target) or ("", "")
                if home == self._module.__name__ and name in names and _is_others(target, part.node, self._module):
                    what = ast.unparse(target)
                    found[part.node.lineno, what] = self._change(part.node, what, target)
        return [found[each] for each in sorted(found)]

    def _change(self, part: ast.stmt | ast.expr, what: str, target: ast.expr | None) -> Change:
        return Change(self._file.name, part.lineno, what, self._of(target) if target else None)

    def _rank_of_call(self, part: ast.AST, module: str, name: str) -> int | None:
        """Return how surely a call changes a variable: the less, the surer; None if nothing says that it does."""
        if not isinstance(part, ast.Call):
            return None
        held = [part.func.value] if isinstance(part.func, ast.Attribute) else []
        if any(self._of(each) == (module, name) for each in (*held, *part.args)):
            return 1
        called = _value(part.func, self._module)
        if getattr(called, "__module__", None) == module != self._module.__name__:
            code = getattr(getattr(called, "__wrapped__", called), "__code__", None)
            return 1 if name in getattr(code, "co_names", ()) else 3
        return 2 if getattr(part.func, "id", "") in _ANYTHING else None

    def _of(self, target: ast.expr) -> tuple[str, str] | None:
        """Return the module and the variable in it that an expression is, or is a part of."""
        steps: list[str] = []
        while not isinstance(target, ast.Name):
            if not isinstance(target, _PARTS):
                return None
            steps.append(target.attr if isinstance(target, ast.Attribute) else "")
            target = target.value
        held: Any = vars(self._module).get(target.id)
        if not isinstance(held, ModuleType):
            return self._origins.get(target.id, (self._module.__name__, target.id))
        for step in reversed(steps):
            part = vars(held).get(step)
            if not isinstance(part, ModuleType):
                return held.__name__, step
            held = part
        return None


class _Part(NamedTuple):
    """What is executed, and the names that are the program's there: None where all are."""

    node: ast.stmt | ast.expr
    known: set[str] | None

    @property
    def changed(self) -> list[ast.expr]:
        """What it changes of what is not local."""
        found, known = _changed(self.node), self.known
        return found if known is None else [each for each in found if getattr(each, "id", None) in {None, *known}]


def _executed(
    begun: list[ast.stmt], functions: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]
) -> Iterator[_Part]:
    """Yield what is executed of lines, and of the functions of their file that they call by name."""
    waiting: list[tuple[ast.AST, set[str] | None]] = [(each, None) for each in begun]
    seen = set[str]()
    while waiting:
        part, known = waiting.pop()
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id not in seen:
            seen.add(part.func.id)
            if function := functions.get(part.func.id):
                declared = [name for each in ast.walk(function) if isinstance(each, ast.Global) for name in each.names]
                waiting += [(each, {*declared}) for each in function.body]
        if isinstance(part, ast.stmt | ast.expr):
            yield _Part(part, known)
        waiting += [] if isinstance(part, _SCOPES) else [(each, known) for each in ast.iter_child_nodes(part)]


def _changed(part: ast.stmt | ast.expr) -> list[ast.expr]:
    """Return names, attributes and items that are assigned, and containers of which a method changes them."""
    targets: list[ast.expr] = []
    if isinstance(part, ast.Assign | ast.Delete):
        targets = part.targets
    elif isinstance(part, ast.AugAssign | ast.AnnAssign):
        targets = [part.target]
    elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _CHANGING:
        held = part.func.value
        keys = [each.arg for each in part.keywords if each.arg and _space(held)]
        targets = [ast.Subscript(held, ast.Constant(key)) for key in keys] or [held]
    elif isinstance(part, ast.Call) and getattr(part.func, "id", "") in _SETS and len(part.args) > 1:
        held, name = part.args[0], part.args[1]
        text = name.value if isinstance(name, ast.Constant) else None
        targets = [ast.Attribute(held, text)] if isinstance(text, str) else []
    return [_plain(part) for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]


def _plain(target: ast.expr) -> ast.expr:
    """Return ``module.x`` for ``vars(module)["x"]`` and ``module.__dict__["x"]``, ``x`` for ``globals()["x"]``."""
    space = _space(target.value) if isinstance(target, ast.Subscript) else None
    name = target.slice.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) else None
    if space is None or not isinstance(name, str):
        return target
    return ast.Attribute(space[0], name) if space else ast.Name(name)


def _space(held: ast.expr) -> list[ast.expr] | None:
    """Return of what an expression is the namespace; nothing of the program itself, and None if it is none."""
    if isinstance(held, ast.Call) and getattr(held.func, "id", "") in {"vars", "globals", "locals"}:
        return held.args[:1]
    return [held.value] if isinstance(held, ast.Attribute) and held.attr == "__dict__" else None


def _root(target: ast.expr) -> str | None:
    while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
        target = target.func if isinstance(target, ast.Call) else target.value
    return target.id if isinstance(target, ast.Name) else None


def _is_others(target: ast.expr, part: ast.AST, program: ModuleType) -> bool:
    """Return whether it is nothing of a flow's that is changed, and of what has a method called a container."""
    if isinstance(part, ast.Call) and target is getattr(part.func, "value", None):
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
