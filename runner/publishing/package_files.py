"""The files of an author's module: its own and, of a package, all data below its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.publishing.below import Below, files_below

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


def files_of(module: str, spec: ModuleSpec) -> Below:
    """Return the files of a module, by their path below ``src/``, and links that lead to what stays."""
    folder = module.replace(".", "/")
    if spec.submodule_search_locations is None:
        path = Path(str(spec.origin))
        return Below({f"{folder.rpartition('/')[0]}/{path.name}".lstrip("/"): path}, {})
    found = Below({}, {})
    for root in map(Path, folders_of(spec)):
        if spec.origin and spec.has_location and Path(spec.origin).parent == root:
            found.files[f"{folder}/{Path(spec.origin).name}"] = Path(spec.origin)
        files, links = files_below(root, PurePosixPath(folder), tops_of(root, module), _is_no_package)
        found.links.update(links)
        found.files.update({place: path for place, path in files.items() if path.suffix not in {".py", ".pyc"}})
    return found


def folders_of(spec: ModuleSpec) -> list[str]:
    """Return a package's folders; editable installs also list what stands for a hook, and is no folder."""
    return [place for place in spec.submodule_search_locations or () if Path(place).is_dir()]


def tops_of(folder: str | Path, module: str) -> list[Path]:
    """Return the folder in which that of a package is found: what lies there travels, if links lead to it."""
    return [*Path(folder).absolute().parents][module.count(".") : module.count(".") + 1]


def is_namespace(spec: ModuleSpec) -> bool:
    """Return whether a package is one of folders alone, in which anyone's files may lie besides its modules."""
    return spec.submodule_search_locations is not None and not spec.origin


def _is_no_package(folder: Path) -> bool:
    """Return whether a folder in a package holds data: Python's own would be imported."""
    return not any(folder.glob("*.py"))
