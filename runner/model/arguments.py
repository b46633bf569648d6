"""Whether the arguments of a task are those that it was built with: its results are taken again only then."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from runner.model.task import Node, Parameter, unmapped

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = (bool, int, float, complex, str, bytes, type(None))
TOLD_BY_REPR = {"datetime", "decimal", "fractions", "pathlib", "uuid"}  # modules whose values say all in it


def digest_of(node: Node, root: str) -> str:
    """Return a text that is another one where a task's arguments are, as far as these are plain: 16 hexadecimal digits.

    Args:
        node: the use of the task.
        root: the folder below which the flow's file lies, which is another one where the flow runs.
    """
    text = _told(node.args) + _told(node.kwargs)
    if root:
        text = text.replace(root, "")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def written(value: Any) -> str:
    """Return a plain value, or a list of such, as Python writes it, also where it would not: of 4,300 digits and more.

    https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
    """
    try:
        return repr(value)
    except ValueError:
        if isinstance(value, list):
            return str([written(each) for each in value])
        return hex(value) if isinstance(value, int) else type(value).__name__


def _told(value: Any) -> str:
    kind = type(value)
    if tell := _TELLERS.get(kind):
        return f"{kind.__name__}({tell(value)})"
    return f"{kind.__name__}({written(value)})" if kind in PLAIN or kind.__module__ in TOLD_BY_REPR else kind.__name__


def _each(values: Any) -> str:
    return ",".join(map(_told, values))


_TELLERS: dict[type, Callable[[Any], str]] = {
    Node: lambda node: str(node.slug),
    Parameter: lambda parameter: str(parameter.name),
    unmapped: lambda held: _told(held.value),
    list: _each,
    tuple: _each,
    set: lambda values: ",".join(sorted(map(_told, values))),  # in another order in each process
    frozenset: lambda values: ",".join(sorted(map(_told, values))),
    dict: lambda values: ",".join(f"{_told(key)}:{_told(value)}" for key, value in values.items()),
}
