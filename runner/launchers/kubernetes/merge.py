"""One manifest laid over another, as `kubectl apply` would do it: lists of named things are merged by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.schema.documents import JsonObject

_DEEP = {"containers", "initContainers"}  # of other lists a thing of the same name is replaced: it is of one kind


def merged(under: Mapping[str, Any], over: Mapping[str, Any], path: str = "") -> JsonObject:
    """Return a manifest with another one laid over it; what is None in that one is left out.

    Raises UsageError where one has a list, or an object, and the other has none; it names the place.
    """
    result = dict(under)
    for name, value in over.items():
        where, old = f"{path}.{name}".lstrip("."), under.get(name)
        if value is None:
            result.pop(name, None)
            continue
        if old is not None and _shape(old) is not _shape(value):
            message = f"the Job's {where} is {_NOUNS[_shape(old)]}, and that of the template is {_NOUNS[_shape(value)]}"
            raise UsageError(message, hint="kubectl explain job tells what each field is.")
        if isinstance(value, dict):
            result[name] = merged(old or {}, value, where)
        elif isinstance(value, list) and old is not None and (key := _key_of([*old, *value])):
            result[name] = _merged_lists(old, value, key, where, is_deep=name in _DEEP)
        else:
            result[name] = value
    return result


_NOUNS = {dict: "an object", list: "a list", object: "a value"}


def _shape(value: object) -> type:
    return next((kind for kind in (dict, list) if isinstance(value, kind)), object)


def _key_of(items: list[Any]) -> str | None:
    """Return by what the things of a list are told apart; None if by nothing: then the list is one value."""
    for key in ("mountPath", "name"):
        if all(isinstance(item, dict) and isinstance(item.get(key), str) for item in items):
            return key
    return None


def _merged_lists(under: list[Any], over: list[Any], key: str, path: str, *, is_deep: bool) -> list[Any]:
    result = {item[key]: item for item in under}
    for item in over:
        old = result.get(item[key], {}) if is_deep else {}
        result[item[key]] = merged(old, item, f"{path}.{item[key]}")
    return list(result.values())
