"""Options that were given to a launcher, by a command line or a flow's manifest, held to what its arguments take."""

from __future__ import annotations

import ast
import inspect
import json
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runner.schema.documents import JsonObject

_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "bool": "true or false",
    "Sequence": "a list",
    "Mapping": "an object",
    "JsonObject": "an object",
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "Sequence": (list, tuple),
    "Mapping": dict,
    "JsonObject": dict,
}


def checked_options(kind: str, takes: Callable[..., None], given: Mapping[str, Any]) -> JsonObject:
    """Return options by the names of the arguments of a launcher's constructor; digits stand for a text.

    Raises UsageError for one that it does not have, or that is of another type.
    """
    known = {name: one.annotation for name, one in inspect.signature(takes).parameters.items() if name != "self"}
    if unknown := [name for name in given if name not in known]:
        message = f"{kind} has no option {unknown[0]!r}"
        raise UsageError(message, hint=f"It has {', '.join(known) or 'none'}.")
    return {name: _checked(kind, name, value, known[name]) for name, value in given.items()}


def _checked(kind: str, name: str, value: Any, annotation: str) -> Any:
    hints = list(_alternatives(ast.parse(annotation, mode="eval").body))
    if value is None or any(_fits(value, hint) for hint in hints):
        return value
    words = [_WORDS[_name(hint)] for hint in hints if _name(hint) in _WORDS]
    if type(value) is int and "a text" in words:
        return str(value)
    example = f"-O '{name}={json.dumps(str(value))}'" if "a text" in words else f"-O '{name}=JSON'"
    message = f"{name} of {kind} is {' or '.join(words)}, and not {value!r}"
    raise UsageError(message, hint=f"Write {example}.")


def _alternatives(hint: ast.expr) -> Iterator[ast.expr]:
    if isinstance(hint, ast.BinOp):
        yield from _alternatives(hint.left)
        yield from _alternatives(hint.right)
    else:
        yield hint


def _name(hint: ast.expr) -> str:
    return ast.unparse(hint.value if isinstance(hint, ast.Subscript) else hint)


def _fits(value: Any, hint: ast.expr) -> bool:
    """Return whether a value is of a type, and what a list or an object holds of the types that it says."""
    name = _name(hint)
    if name == "Any":
        return True
    if name not in _TYPES or not isinstance(value, _TYPES[name]) or (name == "int" and isinstance(value, bool)):
        return False
    if not isinstance(hint, ast.Subscript):
        return True
    held: Any = value
    values = held.values() if isinstance(held, dict) else held
    inner = hint.slice.elts[-1] if isinstance(hint.slice, ast.Tuple) else hint.slice
    return all(any(_fits(each, one) for one in _alternatives(inner)) for each in values)
