"""What of a flow must be the same where it is loaded: its graph, its defaults, and the names that its functions use."""

from __future__ import annotations

import dis
import hashlib
import re
import sys
from argparse import Namespace
from collections import Counter, deque
from functools import _lru_cache_wrapper, cached_property, partial
from itertools import islice
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.arguments import PLAIN, TOLD_BY_REPR
from runner.model.task import Task
from runner.serialization.flow_pickler import codes_in
from runner.serialization.foreign import ForeignCall

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator

    from runner.model.flow import FlowGraph

_SIZED = (list, tuple, dict, set, frozenset, deque)
_OF_MODULES = re.compile("__.+__")  # what Python gives to each: its name is another one where it is run as a program
_RECORDS = (Namespace, SimpleNamespace)
_DEEPEST = 5  # steps into containers and objects
_WIDEST = 100  # parts looked at in each
_MOST = 20_000  # parts looked at in one variable
_LOOKUPS = {"LOAD_GLOBAL", "LOAD_NAME"}
_PARTS: dict[type, tuple[str, ...]] = {  # in what functions are wrapped
    Task: ("function",),
    ForeignCall: ("function",),
    partial: ("func",),
    cached_property: ("func",),
    MethodType: ("__func__", "__self__"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset", "fdel"),
    _lru_cache_wrapper: ("__wrapped__",),
}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # as it is in what Python itself says of an object
_LONGEST = 10_000  # characters of what an object says of itself


class Feature(NamedTuple):
    """One thing that must be the same: how people call it, what can be told of it, and where it is used.

    ``told`` is the same text in every process that has the same thing; a digest in it, after ``#``, is for no person.
    ``place`` is a function, and the name that it knows the thing by, if it has one there.
    """

    label: str
    told: str
    place: tuple[FunctionType, str] | None = None

    @property
    def is_of_graph(self) -> bool:
        """Whether it must be the same in each start, too: runs go on where other starts of theirs ended."""
        return self.label.startswith(("the flow", "task ", "an argument of "))

    @property
    def is_of_module(self) -> bool:
        """Whether it is another module's, which need not be imported yet where the flow is loaded."""
        return self.label.startswith(("the constant ", "the function "))


class Seen(NamedTuple):
    """By what a flow's own is known, in the process that looks at it.

    ``module`` is the name of the flow's file, ``root`` the folder below which it lies: None where both are the same in
    the other process. ``imported`` are names that the file imports from others, of whose state only the type is told;
    ``modules`` are these others that travel, too.
    """

    module: str
    root: str | None = None
    imported: Container[str] = ()
    modules: Collection[str] = ()


def features_of(flow: FlowGraph, seen: Seen) -> Iterator[Feature]:
    """Yield what can be compared of a flow, in an order that depends on the flow alone.

    Args:
        flow: here as its author made it, or as it was loaded.
        seen: by what its own is known here.
    """
    told = _Teller(seen).told
    given = partial(told, said=True)
    yield Feature("the flow's name", flow.name)
    for node in flow.nodes:
        rules = (node.mapped, node.task.retries, node.task.retry_delay, node.task.timeout, node.task.checkpoint)
        waits = [each.slug for each in node.upstream]
        called = (node.task.function, "") if isinstance(node.task.function, FunctionType) else None
        yield Feature(f"task {node.slug}", f"{told(node.task.function)} {rules} {node.task.trigger} {waits}", called)
        yield Feature(f"an argument of task {node.slug}", f"{given(node.args)}, {given(node.kwargs)}", called)
    for each in flow.parameters:
        yield Feature(f"the default of parameter {each.name}", f"{each.required} {given(each.default)}")
    variables: dict[str, str] = {}  # many functions may use one
    for function in functions_of(flow, seen.module):
        for name in dict.fromkeys(names_of(function.__code__)):
            if name in function.__globals__ and not _OF_MODULES.fullmatch(name):
                if name not in variables:
                    variables[name] = told(function.__globals__[name], whole=name not in seen.imported)
                yield Feature(f"{name} in {function.__qualname__}", variables[name], (function, name))
        yield Feature(f"the code of {function.__qualname__}", _digest(_essence(function.__code__)), (function, ""))
        defaults = f"{told(function.__defaults__)}, {told(function.__kwdefaults__)}"
        yield Feature(f"a default of {function.__qualname__}", defaults, (function, ""))
        cells = zip(function.__code__.co_freevars, _contents(function), strict=True)
        for name, held in cells:
            yield Feature(f"the closure variable {name} of {function.__qualname__}", told(held), (function, ""))
    yield from _constants_of(set(seen.modules) - {seen.module}, told)


def _constants_of(modules: Iterable[str], told: Callable[[Any], str]) -> Iterator[Feature]:
    """Yield what modules have that is a constant by its name; what is none may have come to another state."""
    for name in sorted(modules):
        for variable, held in sorted(vars(sys.modules[name]).items() if name in sys.modules else ()):
            is_its = isinstance(held, FunctionType) and held.__module__ == name
            if is_its or (variable.isupper() and isinstance(held, PLAIN)):
                text = _digest(_essence(held.__code__)) if is_its else told(held)
                yield Feature(f"the {'function' if is_its else 'constant'} {variable} of {name}", text)


def numbered(features: Iterable[Feature]) -> dict[tuple[str, int], Feature]:
    """Return features by their labels; those of functions that share a name are counted."""
    counts = Counter[str]()
    found = {}
    for feature in features:
        counts[feature.label] += 1
        found[feature.label, counts[feature.label]] = feature
    return found


class _Teller:
    """What a value is, as text that is the same where its module, and the folder of that, have other names."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def told(self, value: Any, *, whole: bool = True, said: bool = False) -> str:
        """Return what a value is, as text; what it holds, too, unless that is not wanted.

        What an object of others says of itself is a part of it where that is wanted: handles say where they lead to.
        """
        self._left, self._is_said = _MOST, said
        return self._told(value, 0 if whole else None)

    def _told(self, value: Any, depth: int | None) -> str:
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{self._home(kind)}.{kind.__qualname__}"
        if isinstance(value, ModuleType):
            return f"module {value.__name__}"
        is_builtin = isinstance(value, BuiltinFunctionType)
        if is_builtin or (isinstance(value, FunctionType) and value.__module__ == "builtins"):  # see `import_flow`
            return f"{BuiltinFunctionType.__qualname__} {value.__qualname__}"
        if isinstance(value, type | FunctionType):
            is_own = value.__module__ == self._seen.module
            essence = self._essence(value, depth) if is_own and depth is not None else ""
            return f"{name} {self._home(value)}.{value.__qualname__} #{_digest(essence)}"
        if hasattr(kind, "__next__"):
            return "iterator"  # pickles may make another kind of what is left of one
        if depth is None:
            return name
        if kind in PLAIN or kind.__module__ in TOLD_BY_REPR:
            return f"{name} #{_digest(self._without_root(value if kind in PLAIN else repr(value)))}"
        parts = self._parts(value)
        if parts is None:
            return f"{name} #{_digest(self._said(value))}" if self._is_said else name
        is_set = isinstance(value, set | frozenset)
        is_told = depth < _DEEPEST and self._left > 0 and (not is_set or len(parts) <= _WIDEST)
        shown = list(islice(parts, _WIDEST)) if is_told else []
        self._left -= len(shown)
        inner = [self._told(part, depth + 1) for part in shown]
        if is_set:
            inner.sort()  # those have another order in each process
        return f"{name} of {len(parts)} #{_digest(inner)}"

    def _essence(self, value: type | FunctionType, depth: int) -> list[Any]:
        """Return of a function its code, and of a class the attributes that are no code."""
        if isinstance(value, FunctionType):
            return _essence(value.__code__)
        if depth >= _DEEPEST:
            return []
        held = {name: part for name, part in sorted(vars(value).items()) if not _OF_MODULES.fullmatch(name)}
        plain = (bool, int, float, complex, str, bytes, *_SIZED)
        return [(name, self._told(part, depth + 1)) for name, part in held.items() if isinstance(part, plain)]

    def _parts(self, value: Any) -> Collection[Any] | None:
        """Return what a value holds; None if that is not looked at."""
        if isinstance(value, dict):
            return [part for item in value.items() for part in item]
        if isinstance(value, _SIZED):
            return value
        kind: Any = type(value)
        is_record = isinstance(value, _RECORDS) or hasattr(kind, "__dataclass_fields__")
        travels_whole = kind.__getstate__ is object.__getstate__ and kind.__reduce_ex__ is object.__reduce_ex__
        if travels_whole and (is_record or kind.__module__ == self._seen.module):
            return list(getattr(value, "__dict__", {}).values())
        return None

    def _said(self, value: Any) -> str:
        """Return what an object says of itself that another one of the same value says, too."""
        try:
            said = str(self._without_root(_ADDRESS.sub("", repr(value)[:_LONGEST])))
        except Exception:  # noqa: BLE001 - whatever an author's own __repr__ does
            return ""
        return re.sub(rf"\b{re.escape(self._seen.module)}\.(?=\w)", "its file.", said)

    def _home(self, value: Any) -> str:
        return "its file" if value.__module__ == self._seen.module else str(value.__module__)

    def _without_root(self, value: Any) -> Any:
        root = self._seen.root
        return value.replace(root, "<its folder>") if root and isinstance(value, str) else value


def _essence(code: CodeType) -> list[Any]:
    """Return of a function's code what does not depend on where its file lies."""
    return [code.co_code, code.co_names, code.co_varnames, _constants(code.co_consts)]


def _constants(held: Any) -> Any:
    if isinstance(held, CodeType):
        return _essence(held)
    if isinstance(held, frozenset):  # of another order in each process
        return sorted(map(repr, held))
    return [_constants(part) for part in held] if isinstance(held, tuple) else held


def _digest(value: object) -> str:
    text = value if isinstance(value, str | bytes) else repr(value)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def names_of(code: CodeType) -> Iterator[str]:
    """Yield the names that a function, or what is defined in it, looks up in its module."""
    for each in (code, *codes_in(code)):
        yield from (str(step.argval) for step in dis.get_instructions(each) if step.opname in _LOOKUPS)


def functions_of(flow: FlowGraph, module: str) -> Iterator[FunctionType]:
    """Yield the functions of a module that a flow reaches, and closures over them, each once."""
    waiting: list[Any] = [node.task for node in reversed(flow.nodes)]
    seen = set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            is_its = value.__globals__.get("__name__") == module
            if is_its:
                yield value
            names = names_of(value.__code__) if is_its else ()
            waiting += [value.__globals__[name] for name in names if name in value.__globals__]
            waiting += _contents(value)
        else:
            waiting += _parts_of(value, module)


def modules_of(functions: Iterable[FunctionType]) -> set[str]:
    """Return the modules that functions have in variables of theirs, or have something from."""
    found = set[str]()
    for function in functions:
        used = {name for name in names_of(function.__code__) if name in function.__globals__}
        for value in (function.__globals__[name] for name in used):
            name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            found |= {name} if isinstance(name, str) else set()
    return found


def _parts_of(value: Any, module: str) -> Iterable[Any]:
    """Return in what functions may be found that are reached by a value which is none."""
    if isinstance(value, type):
        return list(vars(value).values()) if value.__module__ == module else []
    if parts := _PARTS.get(type(value)):
        return [getattr(value, part) for part in parts]
    return [type(value)] if type(value).__module__ == module else []


def _contents(function: FunctionType) -> list[Any]:
    """Return what a function's closure holds: nothing in the place of a variable that was never given a value."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            found.append(None)
    return found
