"""Code first, data last: functions and classes of a flow are whole before a value is made that may need them.

A function's state holds the names that it uses, so that a pickle which fills functions as they come makes an instance
in the middle of its class. Therefore the data of all that is reached from the outermost function or class are set after
it, by more calls of the functions of cloudpickle's that set the code.
"""

from __future__ import annotations

import operator
import sys
import types
import weakref
from collections import deque
from enum import EnumType, IntEnum
from functools import _lru_cache_wrapper
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudpickle.cloudpickle import _class_setstate, _function_setstate, _get_cell_contents

from runner.model.task import Task

if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable, Mapping, Sequence

Values = dict[str, Any]
Cells = tuple[CellType, ...]


class Call:
    """Stands for what a function returns, and is pickled as the call of it."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        """See `object.__reduce__`."""
        return self._reduced


class LastCall(Call):
    """A call that is made when all else of the class that it belongs to is set."""


_ATOMS = {type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range}
_CODE = (
    type,
    property,
    _lru_cache_wrapper,
    Call,
    types.ModuleType,
    FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    type(vars(NamedTuple("_Pair", [("first", int)]))["first"]),
)
_PLAIN = {"builtins", "types", "typing", "enum", Task.__module__}  # whose containers are plain
_FILLED_BY: dict[type, Callable[[Any, Any], Any]] = {dict: operator.ior, set: operator.ior, list: operator.iadd}


class Kind(IntEnum):
    """What a value is, in the order in which values are set."""

    CODE = 0  # set with its function or class: nothing of the author's is called to make it
    EMPTIED = 1  # a container of what is OWN, which is set before it is filled: what fills it may look into it
    INSTALLED = 2  # an instance of a class that is not the author's
    OWN = 3  # an instance of a class of the author's
    HOLDING = 4  # what holds one, and is not made empty
    ENUM = 5  # an enum with a member that is one, or holds one
    LAST = 6


class _Later:
    """Stands for what nobody knows before it is pickled: it is asked then how it is made."""

    def __init__(self, reduced: Callable[[], tuple[Any, ...]]) -> None:
        self._reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced()


class Deferral:
    """Takes the data out of what functions and classes are filled with, to be set when the outermost of them is whole.

    Args:
        pickler: what pickles them.
        own: the names of the modules whose classes are the author's.
        facts: what the flow's module is called, by which its names are put there.
        homes: of what it imports by name from another module, by its id, that module and the name there.
    """

    def __init__(
        self, pickler: pickle.Pickler, own: set[str], facts: Values, homes: Mapping[int, tuple[str, str]]
    ) -> None:
        self._pickler = weakref.proxy(pickler)  # which holds what this makes
        self._own = own
        self._homes = homes
        self._for_module = {"__module__": facts, "__globals__": {}} if facts else {}
        self._in_code = False
        self._waiting: dict[tuple[Kind, int], tuple[Any, Values, Values]] = {}
        self._apart: dict[int, Any] = {}  # the containers that are pickled before all else that waits
        self._given: set[tuple[int, str]] = set()  # the names that are set late, each with the namespace
        self._kinds: dict[int, tuple[Kind, object]] = {}

    def reduced(self, obj: Any, make: object, arguments: object, *state_and_setter: Any) -> tuple[Any, ...]:
        """Return how a function or class is made without its data, which come with the outermost one.

        What is neither, or is found by its name, is made as it was to be.
        """
        if not isinstance(obj, FunctionType | type) or not state_and_setter:
            return make, arguments, *state_and_setter
        state, *rest = state_and_setter
        if self._in_code:
            return make, arguments, self._code(obj, *state), *rest

        def all_code() -> tuple[Any, ...]:
            self._in_code = True
            return rest[-1], (obj, self._code(obj, *state))

        calls = _Later(all_code), _Later(self._data)
        return make, arguments, calls, None, None, operator.is_  # which does nothing with them once they are made

    def _code(self, obj: Any, first: Values, second: Values) -> tuple[Values, Values]:
        """Return what is code in a state as cloudpickle has it, and note the rest."""
        names, cells = second.pop("__globals__", None), second.pop("__closure__", None)
        first = self._kept(first, lambda kind: self._later(kind, obj)[0])
        second = self._kept(second, lambda kind: self._later(kind, obj)[1])
        if names is not None:
            space = id(getattr(obj, "__globals__", None))
            new = {name: value for name, value in names.items() if (space, name) not in self._given}
            second["__globals__"] = kept = self._kept(new, lambda kind: self._later(kind, obj)[1]["__globals__"])
            self._given |= {(space, name) for name in new.keys() - kept.keys()}
        if isinstance(obj, FunctionType):
            second["__closure__"] = cells and self._kept_cells(obj, cells)
        return first, second

    def _kept(self, values: Values, later: Callable[[Kind], Values]) -> Values:
        kept = {}
        for name, value in values.items():
            kind = self._kind(value)
            if kind is Kind.CODE:
                kept[name] = value
            else:
                later(kind)[name] = value
            if kind is Kind.EMPTIED:
                self._apart[id(value)] = value
        return kept

    def _kept_cells(self, function: FunctionType, cells: Cells) -> Cells:
        """Return the cells of a closure, with empty ones in the place of those that hold data."""
        found = [self._kind(_get_cell_contents(cell)) for cell in cells]
        kinds = [Kind.HOLDING if kind is Kind.EMPTIED else kind for kind in found]
        for kind in {*kinds} - {Kind.CODE}:
            _, more = self._later(kind, function)
            more["__closure__"] = _only(kind, cells, kinds)
        return _only(Kind.CODE, cells, kinds)

    def _later(self, kind: Kind, obj: Any) -> tuple[Values, Values]:
        """Return the state of a function or class that is set late."""
        more: Values = {name: dict(value) for name, value in self._for_module.items()}
        if isinstance(obj, FunctionType):
            more = {"__globals__": {}, "__closure__": None, "_cloudpickle_submodules": []}
        _, first, second = self._waiting.setdefault((kind, id(obj)), (obj, {}, more))
        return first, second

    def _data(self) -> tuple[Any, ...]:
        """Return the calls that set what waits, as a tuple; code that is pickled in them is an outermost one again."""
        waiting, self._waiting, self._in_code = self._waiting, {}, False
        calls: dict[Kind, list[Any]] = {kind: [] for kind in Kind}
        for (kind, _), (obj, *state) in waiting.items():
            set_by = _function_setstate if isinstance(obj, FunctionType) else _class_setstate
            calls[kind].append(Call(set_by, obj, tuple(state)))
        apart, fillings = self._set_apart() if self._apart else ([], [])
        calls[Kind.OWN] += fillings
        in_order = [*apart, *(call for kind in Kind for call in calls[kind])]
        return tuple, ((in_order,) if in_order else ())

    def _set_apart(self) -> tuple[list[Any], list[Call]]:
        """Return what finds containers or makes them empty, and what fills these; not of those that are pickled."""
        pickled = self._pickler.memo.copy()
        new = [value for key, value in self._apart.items() if key not in pickled]
        self._apart.clear()
        stand_ins = [found_in(*self._homes[id(each)]) if id(each) in self._homes else Call(type(each)) for each in new]

        def take_their_places() -> tuple[Any, ...]:
            memo = self._pickler.memo.copy()
            for stand_in, value in zip(stand_ins, new, strict=True):
                memo[id(value)] = memo.pop(id(stand_in))[0], value
            self._pickler.memo = memo
            return tuple, ()

        fillings = [Call(_FILLED_BY[type(each)], each, each.copy()) for each in new if id(each) not in self._homes]
        return [*stand_ins, _Later(take_their_places)], fillings

    def _kind(self, value: Any) -> Kind:
        if type(value) is LastCall:
            return Kind.LAST
        if type(value) in _ATOMS:
            return Kind.CODE
        if id(value) not in self._kinds:
            self._kinds[id(value)] = self._kind_by(value, {type(part) for part in self._parts(value)}), value
        return self._kinds[id(value)][0]

    def _kind_by(self, value: Any, kinds: set[type]) -> Kind:
        """Return what a value is, by the types of all that is in it."""
        if type(value).__module__ in self._own:
            return Kind.OWN
        if any(kind.__module__ in self._own for kind in kinds):
            holding = Kind.ENUM if issubclass(type(value), EnumType) else Kind.HOLDING
            return Kind.EMPTIED if type(value) in _FILLED_BY else holding
        return Kind.INSTALLED if kinds else Kind.CODE

    def _parts(self, value: Any) -> list[Any]:
        """Return the instances in a value that are neither code nor plain containers, however deep.

        A container that is another module's is one.
        """
        found, left, seen = [], [value], set()
        while left:
            part = left.pop()
            if type(part) in _ATOMS or _is_code(part) or id(part) in seen:
                continue
            seen.add(id(part))
            if id(part) in self._homes and type(part) in _FILLED_BY:
                self._apart[id(part)] = part
                found.append(part)
                continue
            inside = _inside(part)
            left += inside or []
            if inside is None or type(part).__module__ not in _PLAIN:
                found.append(part)
        return found


def found_in(module: str, name: str) -> Call:
    """Return what stands for something that is found by its name in a module, and is pickled as just that."""
    return Call(getattr, sys.modules[module], name)


def _is_code(value: Any) -> bool:
    kind = type(value)
    return issubclass(kind, _CODE) and not issubclass(kind, EnumType)


def _only(kind: Kind, cells: Cells, kinds: Sequence[Kind]) -> Cells:
    return tuple(cell if each is kind else CellType() for cell, each in zip(cells, kinds, strict=True))


def _inside(value: Any) -> list[Any] | None:
    kind = type(value)
    if issubclass(kind, dict):
        return [*dict.keys(value), *dict.values(value)]
    if issubclass(kind, list | tuple | set | frozenset | deque):
        return list(value)
    if kind in {types.GenericAlias, types.UnionType} or kind.__module__ == "typing":
        return [*getattr(value, "__args__", ()), *getattr(value, "__metadata__", ())]
    if issubclass(kind, EnumType):  # whose members are made with it
        return [member.value for member in value.__members__.values()]
    if kind in {staticmethod, classmethod}:
        return [value.__func__]
    return [value.function] if kind is Task else None
