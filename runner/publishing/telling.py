"""What a value is, as text by which two processes compare it: of what is of the author's own, also what it holds."""

from __future__ import annotations

import hashlib
import pickle
import re
from argparse import Namespace
from collections import ChainMap, UserDict, UserList, deque
from configparser import RawConfigParser
from contextlib import suppress
from copyreg import _slotnames  # type: ignore[attr-defined]  # by which pickles find what a class has no __dict__ for
from enum import Enum
from functools import partial
from io import BytesIO, StringIO
from itertools import islice
from operator import length_hint
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any, NamedTuple
from warnings import catch_warnings, simplefilter

from runner.model.arguments import PLAIN, TOLD_BY_REPR, written

if TYPE_CHECKING:
    from collections.abc import Collection, Container

OF_PYTHON = re.compile(
    "__.+__"
)  # what Python gives to each module: its name is another one where it is run as a program
_SIZED = (list, tuple, dict, set, frozenset, deque, MappingProxyType)
_RECORDS = (Namespace, SimpleNamespace, ChainMap, UserDict, UserList, RawConfigParser)
_OF_ENUMS = re.compile("_[^_].*_")  # what Python keeps of an enum, some of it once it was asked for
_DEEPEST = 5  # steps into containers and objects
_WIDEST = 100  # parts looked at in each, but for those of plain values alone
_MOST = 20_000  # parts looked at in one variable
_OF_ARRAYS = ("dtype", "nbytes", "tolist")  # of NumPy, PyTorch and pandas
_LARGEST_ARRAY = 1 << 28  # bytes
_GENERATORS = {"Random", "RandomState", "Generator"}  # of random numbers: random, numpy.random, torch
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # as it is in what Python itself says of an object
_LONGEST = 10_000  # characters of what an object says of itself


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


class Teller:
    """What a value is, as text that is the same where its module, and the folder of that, have other names.

    Args:
        seen: by what its own is known.
        most: parts that are looked at in one value.
    """

    def __init__(self, seen: Seen, most: int = _MOST) -> None:
        self._seen, self._most = seen, most
        self._own = {seen.module, *seen.modules}

    def told(self, value: Any, *, whole: bool = True, said: bool = False) -> str:
        """Return what a value is, as text; what it holds, too, unless that is not wanted.

        What an object of others says of itself is a part of it where that is wanted: handles say where they lead to.
        """
        self._left, self._is_said = self._most, said
        return self._told(value, 0 if whole else None)

    def _told(self, value: Any, depth: int | None) -> str:
        kind = type(value)  # and not what a proxy says that it is, which may make what it stands for
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{self._home(kind)}.{kind.__qualname__}"
        if issubclass(kind, ModuleType):
            return f"module {value.__name__}"
        is_builtin = issubclass(kind, BuiltinFunctionType)
        if is_builtin or (kind is FunctionType and value.__module__ == "builtins"):  # see `import_flow`
            return f"{BuiltinFunctionType.__qualname__} {value.__qualname__}"
        if issubclass(kind, type | FunctionType):
            essence = self._essence(value, depth) if value.__module__ in self._own and depth is not None else ""
            return f"{name} {self._home(value)}.{value.__qualname__} #{digest(essence)}"
        if hasattr(kind, "__next__") and kind.__module__ not in self._own:
            left = "" if depth is None else self._left_of(value, depth)
            return f"iterator #{digest(left)}"  # pickles may make another kind of what is left of one
        if depth is None:
            return name
        if kind in PLAIN or kind.__module__ in TOLD_BY_REPR:
            return f"{name} #{digest(self._without_root(value if kind in PLAIN else written(value)))}"
        parts = self._parts(value)
        if parts is None and (numbers := _numbers_in(value)):
            return f"{name} #{digest(self._told(numbers, depth + 1))}"
        if parts is None:
            return f"{name} #{digest(self._said(value))}" if self._is_said else name
        return f"{name} of {len(parts)} #{digest(self._held(parts, depth, is_set=issubclass(kind, set | frozenset)))}"

    def _held(self, parts: Collection[Any], depth: int, *, is_set: bool) -> Any:
        """Return what can be told of the parts of a value; those of a set have another order in each process."""
        if len(parts) > _WIDEST and all(type(part) in PLAIN for part in parts):
            return self._without_root(written(sorted(map(written, parts)) if is_set else list(parts)))
        is_told = depth < _DEEPEST and self._left > 0 and (not is_set or len(parts) <= _WIDEST)
        shown = list(islice(parts, _WIDEST)) if is_told else []
        self._left -= len(shown)
        inner = [self._told(part, depth + 1) for part in shown]
        return sorted(inner) if is_set else inner

    def _essence(self, value: type | FunctionType, depth: int) -> list[Any]:
        """Return of a function its code and attributes, and of a class the attributes that are no code."""
        if isinstance(value, FunctionType):
            held = {name: vars(value)[name] for name in sorted(vars(value))}
            return [*essence(value.__code__), self._told(held, depth + 1) if held else ""]
        if depth >= _DEEPEST:
            return []
        held = {name: part for name, part in sorted(vars(value).items()) if not OF_PYTHON.fullmatch(name)}
        if issubclass(value, Enum):
            held = {name: part for name, part in held.items() if not _OF_ENUMS.fullmatch(name)}
            held["_member_map_"] = value._member_map_
        plain = (bool, int, float, complex, str, bytes, *_SIZED)
        return [(name, self._told(part, depth + 1)) for name, part in held.items() if issubclass(type(part), plain)]

    def _parts(self, value: Any) -> Collection[Any] | None:
        """Return what a value holds; None if that is not looked at."""
        kind: Any = type(value)
        if issubclass(kind, dict):
            return [part for item in dict.items(value) for part in item]
        if kind is MappingProxyType:
            return [part for item in value.items() for part in item]
        if kind is bytearray or (kind.__module__, kind.__name__) == ("array", "array"):
            return [bytes(value)]
        if kind is partial:
            return [value.func, value.args, value.keywords]
        if issubclass(kind, _SIZED):
            return list(value)
        if issubclass(kind, Enum):
            own = vars(value).items() if kind.__module__ in self._own else ()
            return [value._name_, value._value_, *(held for name, held in own if not _is_of_enums(name))]
        is_record = issubclass(kind, _RECORDS) or hasattr(kind, "__dataclass_fields__")
        travels_whole = kind.__getstate__ is object.__getstate__ and kind.__reduce_ex__ is object.__reduce_ex__
        if kind.__module__ in self._own and (travels_whole or self._seen.root is not None):
            slots = [getattr(value, name, None) for name in _slotnames(kind)]
            return [*slots, *getattr(value, "__dict__", {}).values()]
        return list(getattr(value, "__dict__", {}).values()) if is_record and travels_whole else None

    def _left_of(self, iterator: Any, depth: int) -> str:
        """Return what can be told of how far an iterator of Python's has come, without asking it for more."""
        kind = type(iterator)
        if kind in {StringIO, BytesIO} and not iterator.closed:
            return digest([iterator.getvalue(), iterator.tell()])
        if kind is GeneratorType:
            return str(iterator.gi_frame and iterator.gi_frame.f_lasti)
        if kind.__module__ not in {"builtins", "itertools"}:
            return ""
        left = -1
        with suppress(Exception):  # whatever that of a set does which has been changed
            left = length_hint(iterator, left)
        if left >= 0:
            return str(left)
        with suppress(Exception), catch_warnings():  # some are not to be pickled from Python 3.14 on
            simplefilter("ignore")  # what it iterates over has come as far as it has
            return self._told(iterator.__reduce__(), depth + 1)
        return _ADDRESS.sub("", repr(iterator)) if kind.__module__ == "itertools" else ""

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


def essence(code: CodeType) -> list[Any]:
    """Return of a function's code what does not depend on where its file lies."""
    return [code.co_code, code.co_names, code.co_varnames, _constants(code.co_consts)]


def digest(value: object) -> str:
    """Return a text that is the same where a value says the same of itself: 16 hexadecimal digits."""
    text = value if isinstance(value, str | bytes) else written(value)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def _constants(held: Any) -> Any:
    if isinstance(held, CodeType):
        return essence(held)
    if isinstance(held, frozenset):  # of another order in each process
        return sorted(map(repr, held))
    return [_constants(part) for part in held] if isinstance(held, tuple) else held


def _numbers_in(value: Any) -> list[Any]:
    """Return the numbers of an array, and the state of a generator of random ones; nothing of what is neither or large.

    NumPy's, PyTorch's and pandas' are known by what they have, and need not be imported here.
    """
    kind = type(value)
    with suppress(Exception):  # that of the system has no state, and some arrays have no numbers
        if all(hasattr(kind, name) for name in _OF_ARRAYS) and str(value.dtype) != "object":
            return [str(value.dtype), _bytes_of(value)] if value.nbytes <= _LARGEST_ARRAY else []
        if kind.__name__ in _GENERATORS:
            if hasattr(kind, "bit_generator"):
                return [pickle.dumps(value.bit_generator.state)]
            return [pickle.dumps(value.getstate())] if hasattr(kind, "getstate") else [value.get_state()]
    return []


def _bytes_of(array: Any) -> bytes:
    """Return the bytes of an array of NumPy's, PyTorch's or pandas'."""
    if hasattr(array, "tobytes"):
        return bytes(array.tobytes())
    return bytes((array.detach().cpu().numpy() if hasattr(array, "detach") else array.to_numpy()).tobytes())


def _is_of_enums(name: str) -> bool:
    return bool(OF_PYTHON.fullmatch(name) or _OF_ENUMS.fullmatch(name))
