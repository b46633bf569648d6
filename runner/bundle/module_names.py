"""Whose module a name stands for: Python's, an installed one, or an author's that travels."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def owner_of(name: str, path: Iterable[str]) -> str | None:
    """Return who has a top-level module of this name already: «Python», or the file of the installed one.

    None if nobody has. Namespace packages share their name, so those have no owner.

    Args:
        name: of the module, without a dot.
        path: folders in which modules are installed.
    """
    if name in sys.stdlib_module_names:
        return "Python"
    spec = PathFinder.find_spec(name, list(path))
    return None if spec is None else spec.origin


def holds(owner: str, name: str, files: Mapping[str, bytes | memoryview]) -> bool:
    """Return whether the module that `owner_of` found has all the files of this top-level module, the same to the byte.

    So it is where a bundle runs beside the tree that it was built from, or is installed as well.
    """
    from pathlib import Path

    found = Path(owner)
    if not found.is_absolute():  # Python's own
        return False
    root = found.parents[1] if found.name == "__init__.py" else found.parent
    of_it = {file: data for file, data in files.items() if file.partition("/")[0].partition(".")[0] == name}
    try:
        return all((root / file).read_bytes() == data for file, data in of_it.items())
    except OSError:
        return False


def top_modules(files: Iterable[str]) -> dict[str, str]:
    """Return the top-level modules among files, and the file of each: ``etl.py``, ``etl/__init__.py`` or ``etl.….so``.

    Namespace packages, which have no file of their own, are none.
    """
    found = {}
    for file in files:
        folder, _, name = file.rpartition("/")
        if name == "__init__.py" and folder and "/" not in folder:
            found[folder] = file
        elif not folder and name.endswith((".py", ".so")):
            found[name.partition(".")[0]] = file
    return found


def modules_in(files: Iterable[str]) -> list[str]:
    """Return the dotted names of the modules among files: ``acme.part`` for ``acme/part.py``."""
    stems = (file.removesuffix(".py").removesuffix("/__init__") for file in files if file.endswith(".py"))
    return [stem.replace("/", ".") for stem in stems]
