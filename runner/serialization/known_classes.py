"""The classes of a flow's file that was imported here: where a pickle holds one by value, it gives this one.

So the results of an earlier attempt, which are read in another process, are of the same classes as the file's.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudpickle.cloudpickle import _DYNAMIC_CLASS_TRACKER_BY_CLASS, _DYNAMIC_CLASS_TRACKER_BY_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

_PROCESS_KNOWN: dict[str, type] = {}  # by the ids that pickles give them


def known_by(tracker_id: str) -> type | None:
    """Return the class that has this id."""
    return _PROCESS_KNOWN.get(tracker_id)


def is_known(kind: type) -> bool:
    """Return whether a class is one of those of the file, as which it can be found by its name, too."""
    return known_by(_DYNAMIC_CLASS_TRACKER_BY_CLASS.get(kind, "")) is kind


def know_classes(module: ModuleType) -> None:
    """Have each class of a module known by an id that is the same wherever the same file is imported.

    cloudpickle gives a class one at random when it is first pickled, and takes a class of the same id for the same.

    Args:
        module: that of a flow's file.
    """
    if not module.__file__:
        return
    with open(module.__file__, "rb") as file:  # noqa: PTH123 - pathlib costs the start 5 ms
        digest = hashlib.sha256(file.read()).hexdigest()[:32]
    for path, kind in _classes_in(vars(module), module.__name__, ""):
        if kind not in _DYNAMIC_CLASS_TRACKER_BY_CLASS:
            tracker_id = f"{digest} {module.__name__}{path}"
            _PROCESS_KNOWN[tracker_id] = kind
            _DYNAMIC_CLASS_TRACKER_BY_CLASS[kind] = tracker_id
            _DYNAMIC_CLASS_TRACKER_BY_ID[tracker_id] = kind


def _classes_in(names: Mapping[str, object], module: str, path: str) -> Iterator[tuple[str, type]]:
    """Yield the classes that a module defines, and those in their bodies, with how they are found in it."""
    for name, value in list(names.items()):
        is_its = isinstance(value, type) and value.__module__ == module and type(value).__hash__ is type.__hash__
        if isinstance(value, type) and is_its:
            yield f"{path}.{name}", value
            if value.__qualname__.count(".") == path.count("."):
                yield from _classes_in(vars(value), module, f"{path}.{name}")
