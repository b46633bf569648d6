"""What of a flow must be the same where it is loaded: its graph, its defaults, and the names that its functions use."""

from __future__ import annotations

import dis
from collections import Counter
from functools import _lru_cache_wrapper, cached_property, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.model.task import Task
from runner.publishing.telling import OF_PYTHON, Teller, digest, essence
from runner.serialization.flow_pickler import codes_in
from runner.serialization.foreign import ForeignCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.model.flow import FlowGraph
    from runner.publishing.telling import Seen

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
        return self.label.startswith(("the constant ", "the function ", "the variable ", "the module "))

    @property
    def is_state(self) -> bool:
        """Whether it may come to be another one when tasks are run, so that it is told, and refuses nothing."""
        return self.label.startswith(("the variable ", "the cache "))


def features_of(flow: FlowGraph, seen: Seen) -> Iterator[Feature]:
    """Yield what can be compared of a flow, in an order that depends on the flow alone.

    Args:
        flow: here as its author made it, or as it was loaded.
        seen: by what its own is known here.
    """
    told = Teller(seen).told
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
            if name in function.__globals__ and not OF_PYTHON.fullmatch(name):
                if name not in variables:
                    variables[name] = told(function.__globals__[name], whole=name not in seen.imported)
                yield Feature(f"{name} in {function.__qualname__}", variables[name], (function, name))
                for label, held in _caches_of(name, function.__globals__[name], seen.module):
                    yield Feature(f"the cache of {label}", str(held.cache_info().currsize), (function, name))
        yield Feature(f"the code of {function.__qualname__}", digest(essence(function.__code__)), (function, ""))
        defaults = f"{told(function.__defaults__)}, {told(function.__kwdefaults__)}"
        yield Feature(f"a default of {function.__qualname__}", defaults, (function, ""))
        cells = zip(function.__code__.co_freevars, _contents(function), strict=True)
        for name, held in cells:
            yield Feature(f"the closure variable {name} of {function.__qualname__}", told(held), (function, ""))


def numbered(features: Iterable[Feature]) -> dict[tuple[str, int], Feature]:
    """Return features by their labels; those of functions that share a name are counted."""
    counts = Counter[str]()
    found = {}
    for feature in features:
        counts[feature.label] += 1
        found[feature.label, counts[feature.label]] = feature
    return found


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


def _caches_of(name: str, value: Any, module: str) -> Iterator[tuple[str, _lru_cache_wrapper[Any]]]:
    """Yield what caches of a module's own a value of that name is, or has for methods, if it is a class or of one."""
    if isinstance(value, _lru_cache_wrapper):
        if value.__module__ == module:
            yield name, value
        return
    kind = value if isinstance(value, type) else type(value)
    for attribute, held in vars(kind).items() if kind.__module__ == module else ():
        held = getattr(held, "__func__", held)  # noqa: PLW2901 - of a classmethod
        if isinstance(held, _lru_cache_wrapper):
            yield f"{kind.__qualname__}.{attribute}", held


def _contents(function: FunctionType) -> list[Any]:
    """Return what a function's closure holds: nothing in the place of a variable that was never given a value."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            found.append(None)
    return found
