"""Paths of the author's machine that a flow's functions use: what lies there stays there, and building says so."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runner.publishing.features import names_of
from runner.serialization.diagnosis import line_of_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import FunctionType


def notes_on_paths(
    functions: Iterable[FunctionType], folder: Path, travelling: Collection[Path] = (), anew: Collection[str] = ()
) -> Iterator[str]:
    """Yield what to say of each variable that holds a path to what lies in the author's folder.

    Args:
        functions: those that travel.
        folder: in which the flow's file lies.
        travelling: files that lie there where they lie here, as seen from the flow's file; of a folder, some must
            be more than modules.
        anew: variables that the flow's file makes where it is imported.
    """
    said = {*anew}
    for function in functions:
        for name in names_of(function.__code__):
            value = function.__globals__.get(name)
            if name not in said and _is_below(value, folder) and not _travels(Path(str(value)), travelling):
                said.add(name)
                line = line_of_name(function, name)
                yield (
                    f"note: {line}: {name} is a path of this machine, and what lies there stays here; take it along "
                    "with -i, or include=[…], and open it with importlib.resources.files"
                )


def _is_below(value: object, folder: Path) -> bool:
    if not isinstance(value, str | PurePath) or not str(value).startswith(str(folder)):
        return False
    try:
        return Path(value).is_relative_to(folder) and Path(value).exists()
    except (OSError, ValueError):
        return False


def _travels(path: Path, travelling: Collection[Path]) -> bool:
    return path in travelling or any(each.suffix != ".py" and each.is_relative_to(path) for each in travelling)
