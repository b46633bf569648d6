"""What a flow's file does to others when it is loaded: what of that is done again where the flow runs.

The file is not executed there. Its own statements that only set or call something of what it imports (a variable of the
environment, a level of a logger, an entry in a dictionary) become functions, which travel with the flow like any
other of the file's, and are called in their order after the flow was loaded: see `runner.bundle.effects`.
"""

from __future__ import annotations

import ast
import builtins
import logging
import sys
from itertools import takewhile
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

from runner.publishing.left_to_the_author import asks, is_left

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "<effect>"  # of the functions; no name of the file's can be it
_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_SETTING = ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete
_STEPS = ast.Attribute | ast.Subscript | ast.Call


class Effects(NamedTuple):
    """Functions by the lines of what they do, as ``line 3``, and what is to be said of what is not done again."""

    functions: dict[str, FunctionType]
    notes: list[str]


def effects_of(module: ModuleType | None, imported: Mapping[str, tuple[str, str]]) -> Effects:
    """Return what a flow's file did to others, up to the line that it has reached.

    Nothing for a notebook, which has no file, and for a file that is no source.

    Args:
        module: the file's, or None.
        imported: what its import statements bind by name, as `runner.publishing.bindings` tells.
    """
    found = Effects({}, [])
    file = getattr(module, "__file__", None)
    if module is None or not file or Path(file).suffix != ".py":
        return found
    reader = _Reader(module, ast.parse(Path(file).read_bytes()), imported)
    for statement, block in reader.executed():
        reason = reader.why_not(statement)
        if reason == "" and block:
            reason = f"it stands in {block}; put it before that, or into the task that needs it"
        if reason == "":
            key = f"line {statement.lineno}"
            key += f", column {statement.col_offset}" if key in found.functions else ""
            made = found.functions[key] = _function(statement, file, module)
            if own := reader.own_names(statement):
                vars(made)["own"] = own  # see runner.bundle.effects
        elif reason:
            found.notes.append(
                f"note: {Path(file).name}, line {statement.lineno} is not done where the flow runs: {reason}"
            )
    return found


class _Reader:
    """The statements of a file, and which of them are effects."""

    def __init__(self, module: ModuleType, tree: ast.Module, imported: Mapping[str, tuple[str, str]]) -> None:
        self._module, self._tree, self._imported = module, tree, imported
        self._held = vars(module)
        self._last_bound = dict(_bound_at(tree))
        self._read = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}

    def executed(self) -> Iterator[tuple[ast.stmt, str]]:
        """Yield the statements of the file itself that come before that which is being executed, if one is.

        With each, what else it stands in: ``for``, say.
        """
        frame, line = sys._getframe(), None  # noqa: SLF001 - nothing else tells how far the file is
        while frame.f_back:
            frame = frame.f_back
            if frame.f_globals is self._held and frame.f_code.co_name == "<module>":
                line = frame.f_lineno
        for statement in self._tree.body:
            if line is None or (statement.end_lineno or 0) < line:
                yield statement, ""
                yield from ((each, "") for each in self._registrations(statement))
                yield from ((each, type(statement).__name__.lower()) for each in self._inside(statement))

    def _registrations(self, definition: ast.stmt) -> list[ast.stmt]:
        """Return the calls of the decorators that register what is defined, and gave back what they were given."""
        if not isinstance(definition, _SCOPES) or self._last_bound[definition.name] > definition.lineno:
            return []
        held = self._held.get(definition.name)
        home = getattr(held, "__module__", None), getattr(held, "__qualname__", None)
        is_plain = isinstance(held, type) or (
            isinstance(held, FunctionType) and held.__code__.co_filename == self._module.__file__
        )
        if home != (self._module.__name__, definition.name) or not is_plain:
            return []
        found = takewhile(lambda each: "".join(self._path(each)[-1:]).startswith("register"), definition.decorator_list)
        return [_call_of(each, definition) for each in reversed(list(found))]

    def _inside(self, block: ast.stmt) -> Iterator[ast.stmt]:
        """Yield what stands in a block, but for that of a flow, of a program, or of another kind of machine."""
        if isinstance(block, ast.With) and any(
            _is_of(self._held.get(_root(each.context_expr)), "runner") for each in block.items
        ):
            return
        if isinstance(block, ast.If):
            names = {getattr(each, "attr", getattr(each, "id", "")) for each in ast.walk(block.test)}
            if names & {"__name__", "TYPE_CHECKING", "platform", "version_info"}:
                return
        if isinstance(block, ast.If | ast.For | ast.While | ast.With | ast.Try):
            for each in block.body:
                if not isinstance(each, ast.Import | ast.ImportFrom):
                    yield each
                yield from self._inside(each)

    def why_not(self, statement: ast.stmt) -> str | None:
        """Return nothing for an effect, why something that was set is not set again, and None for all others."""
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return "" if self._is_for_its_effect(statement) else None
        places = list(_places(statement))
        paths = [self._path(place) for place in places]
        if not places or not all(paths) or any(map(is_left, places, paths)):
            return None
        names = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
        if any(_is_of(self._held.get(name), "runner") for name in names):
            return None
        reason = self._why_not_done(statement, names)
        return reason if not reason or isinstance(statement, _SETTING) else None

    def own_names(self, statement: ast.stmt) -> list[str]:
        """Return the names in a statement that are the file's own, and not imported."""
        names = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
        return sorted(name for name in names if name in self._held and name not in self._imported)

    def _why_not_done(self, statement: ast.stmt, names: set[str]) -> str:
        called = {_root(call.func) for call in _calls(statement)}
        own = sorted(name for name in called if name and self._is_own(name))
        if own:
            return f"it calls {own[0]}, which is the file's own; do it in the task that needs it"
        if any(isinstance(each, ast.NamedExpr) for each in ast.walk(statement)) or any(map(asks, _calls(statement))):
            return "it does more than that; do it in the task that needs it"
        for name in sorted(names):
            if self._last_bound.get(name, 0) > (statement.end_lineno or 0):
                return f"{name} is another value later; give that another name"
            if name not in self._held and not hasattr(builtins, name) and name not in _local_names(statement):
                return f"{name} is gone by then; keep it"
        return ""

    def _is_own(self, name: str) -> bool:
        return _is_of(self._held.get(name), self._module.__name__)

    def _path(self, place: ast.expr) -> list[str]:
        """Return the names by which a place is reached, from the module that has it on; empty if that is this file."""
        root = _root(place)
        value = self._held.get(root)
        if root in self._imported:
            module, name = self._imported[root]
            start = [*module.split("."), name]
        elif isinstance(value, ModuleType):
            start = value.__name__.split(".") if sys.modules.get(value.__name__) is value else []
        elif isinstance(value, logging.Logger):
            start = ["logging", "getLogger"]
        else:
            start = ["builtins", root] if root == "__import__" and value is None else []
        return [*start, *_steps(place)] if start and not _is_of(value, self._module.__name__) else []

    def _is_for_its_effect(self, statement: ast.Import | ast.ImportFrom) -> bool:
        """Return whether nothing in the file reads what an import binds; Python's own modules do nothing to others."""
        bound = {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
        if bound & (self._read | {"*"}):
            return False
        if isinstance(statement, ast.Import):
            homes = {alias.name.partition(".")[0] for alias in statement.names}
        else:
            homes = {"" if statement.level else (statement.module or "").partition(".")[0]}
        return not homes <= {*sys.stdlib_module_names, "runner", "__future__"}


def _call_of(decorator: ast.expr, definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
    """Return the statement that decorates what is defined, in the decorator's line."""
    call = ast.copy_location(ast.Call(decorator, [ast.Name(definition.name, ast.Load())], []), decorator)
    made = ast.fix_missing_locations(ast.copy_location(ast.Expr(call), decorator))
    made.end_lineno = definition.end_lineno
    return made


def _is_of(value: object, module: str) -> bool:
    """Return whether a value, or its class, is of a module or below it."""
    names = {value.__name__} if isinstance(value, ModuleType) else {type(value).__module__}
    named = getattr(value, "__module__", None)
    names |= {named} if isinstance(named, str) and not isinstance(value, ModuleType) else set()
    return any(f"{name}.".startswith(f"{module}.") for name in names)


def _places(statement: ast.stmt) -> Iterator[ast.expr]:
    """Yield what a statement sets, or the call that it is; nothing for one that binds names."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield statement.value
    elif isinstance(statement, ast.Assign | ast.Delete):
        targets = [part for each in statement.targets for part in _parts(each)]
        yield from targets if all(isinstance(each, ast.Attribute | ast.Subscript) for each in targets) else []
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign) and statement.value:
        yield from [statement.target] if not isinstance(statement.target, ast.Name) else []


def _parts(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple | ast.List) else [target]


def _root(place: ast.expr) -> str:
    """Return the leftmost name: ``logging`` of ``logging.getLogger("x").setLevel``; empty if there is none."""
    while isinstance(place, _STEPS):
        place = place.func if isinstance(place, ast.Call) else place.value
    return place.id if isinstance(place, ast.Name) else ""


def _steps(place: ast.expr) -> list[str]:
    """Return the names of attributes on the way to a place."""
    found: list[str] = []
    while isinstance(place, _STEPS):
        if isinstance(place, ast.Attribute):
            found.insert(0, place.attr)
        place = place.func if isinstance(place, ast.Call) else place.value
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a statement, but for those in a lambda, which are made when that is called."""
    if isinstance(tree, ast.Call):
        yield tree
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, ast.Lambda):
            yield from _calls(child)


def _local_names(statement: ast.stmt) -> set[str]:
    """Return the names that lambdas and comprehensions in a statement have for themselves."""
    stored = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return stored | {each.arg for each in ast.walk(statement) if isinstance(each, ast.arg)}


def _bound_at(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that the file itself binds, and its line."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, _SCOPES):
            yield child.name, child.lineno
            continue
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id, child.lineno
        elif isinstance(child, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0], child.lineno) for alias in child.names)
        yield from _bound_at(child)


def _function(statement: ast.stmt, file: str, module: ModuleType) -> FunctionType:
    """Return a function of the file that does what a statement does, and stands in its line."""
    tree = ast.parse("def effect(): pass")
    [made] = tree.body
    made.name, made.body = NAME, [statement]  # type: ignore[attr-defined]  # which is the definition
    ast.copy_location(made, statement)
    code = compile(tree, file, "exec", dont_inherit=True)
    [body] = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return FunctionType(_as_at_the_top(body), vars(module), NAME)


def _as_at_the_top(code: CodeType) -> CodeType:
    """Return code whose lambdas are called as those that stand in no function."""
    parts = tuple(_as_at_the_top(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_consts=parts, co_qualname=code.co_qualname.removeprefix(f"{NAME}.<locals>."))
