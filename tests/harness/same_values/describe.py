"""Values as JSON that two processes can compare: types, contents, order, and which parts are one object.

What a library made is compared by what it shows: how it keeps that is its own, and may change when it is pickled.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

Description = dict[str, Any] | str
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_TEXT = (bool, int, float, complex, str, bytes, bytearray, range, type(None))


def describe(value: object) -> Description:
    """Return what can be told of a value without comparing it to another one."""
    return _described(value, {})


def _described(value: object, seen: dict[int, int]) -> Description:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind in _TEXT:
        return f"{kind.__name__} {value!r}"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{name} {value.__module__}.{value.__qualname__}"
    if isinstance(value, PurePath):  # it keeps what it was asked
        return f"{name} {value}"
    if isinstance(value, Enum):
        return f"{name} {value.name} {value.value!r}"
    if id(value) in seen:
        return f"the same as number {seen[id(value)]}"
    seen[id(value)] = len(seen)
    described: dict[str, Any] = {"type": name} | _contents(value, seen)
    if state := _shown_attributes(value):
        described["attributes"] = {key: _described(each, seen) for key, each in sorted(state.items())}
    if len(described) == 1 or any(map(_is_of_a_library, kind.__mro__)):
        described["text"] = _ADDRESS.sub("", repr(value))
    return described


def _shown_attributes(value: object) -> dict[str, Any]:
    if _is_of_a_library(type(value)):
        return {}
    is_derived = any(map(_is_of_a_library, type(value).__mro__))
    return {name: each for name, each in _attributes(value).items() if not (is_derived and name.startswith("_"))}


def _is_of_a_library(kind: type) -> bool:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return "site-packages" in (file or "")


def _contents(value: object, seen: dict[int, int]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {"items": [[_described(key, seen), _described(each, seen)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return {"elements": [_described(each, seen) for each in value]}
    if isinstance(value, set | frozenset):
        return {"members": sorted(repr(_described(each, {})) for each in value)}
    if isinstance(value, BaseException):
        return {"arguments": _described(value.args, seen), "caused by": _described(value.__cause__, seen)}
    return {}


def _attributes(value: object) -> dict[str, Any]:
    slots = [name for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)]
    return {name: getattr(value, name) for name in slots} | getattr(value, "__dict__", {})


def _slots(kind: type) -> list[str]:
    names = vars(kind).get("__slots__", ())
    listed = [names] if isinstance(names, str) else list(names)
    return [name for name in listed if name not in {"__dict__", "__weakref__"}]
