"""Which modules of the author's travel along: those that the flow's file reaches by import statements.

The file that defines the flow travels by value, in the pickle. What it imports of the author's own travels as source
files with the data files of its packages, and is importable in the container; what lies in ``site-packages``,
``dist-packages`` or the standard library is installed there, and only named in the manifest.
"""

from __future__ import annotations

import sys
import sysconfig
from collections import deque
from dataclasses import dataclass, field
from importlib.util import find_spec
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import FlowFailed, UsageError
from runner.publishing.import_statements import imports_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

LARGEST = 50_000_000  # bytes of sources; more is nearly always data that belongs into the bucket
_INSTALLED = {"site-packages", "dist-packages"}
_NEVER = {"__pycache__", "CVS"}  # besides all that is hidden: .git, .hg, .svn, .env, …


@dataclass
class Captured:
    """Files by their path below ``src/``, and the modules that the captured files import from elsewhere."""

    files: dict[str, Path] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)

    def has(self, module: str) -> bool:
        """Return whether a module can be imported from the files."""
        path = module.replace(".", "/")
        return f"{path}.py" in self.files or f"{path}/__init__.py" in self.files


def capture(
    module: ModuleType | None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    reached: Iterable[str] = (),
) -> Captured:
    """Find what travels with a flow that this module defines.

    Args:
        module: the module, whose import statements are followed; a notebook has no file that could be read.
        include: files or folders that import statements do not show: paths, relative to the flow's file.
        exclude: patterns (as in ``pathlib.PurePath.match``) of paths below ``src/`` that stay behind.
        reached: modules that the flow is known to import otherwise: from its pickle, or when its tasks are called.

    Raises FlowFailed above `LARGEST` bytes, naming the largest files, and UsageError for an include that is not there.
    """
    found = Captured()
    file = getattr(module, "__file__", None)
    base = folder_of(module)
    itself = {"__main__", module.__name__ if module else ""}
    names = [name for name in sorted(reached) if name not in itself]
    if module is not None and file:
        names += [name for name, _ in imports_of(Path(file), module.__package__ or "")]
    # the file itself is not executed in the container, so what it alone imports need not be there
    _follow([(name, True) for name in names], found)
    for name in include:
        _include(base, name, found)
    patterns = list(exclude)
    found.files = {
        name: path for name, path in sorted(found.files.items()) if not any(Path(name).match(each) for each in patterns)
    }
    sizes = {name: path.stat().st_size for name, path in found.files.items()}
    if sum(sizes.values()) > LARGEST:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        listed = ", ".join(f"{name} ({sizes[name] / 1e6:.1f} MB)" for name in largest)
        message = (
            f"what would travel with the flow is {sum(sizes.values()) / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f} MB"
        )
        raise FlowFailed(f"{message}; the largest files: {listed}", hint="Leave them out with exclude=[…], or -x.")
    return found


def installed_part(name: str) -> str | None:
    """Return the installed package, below namespace packages, that a module belongs to.

    None for the author's own modules, for those in the interpreter itself, and for what is no module at all.
    """
    for part in _with_parents(name):
        spec = _spec(part)
        if spec is None:
            return None
        if spec.origin and spec.has_location:
            return None if _is_authors(spec) else part
    return None


def _follow(imports: list[tuple[str, bool]], found: Captured) -> None:
    waiting, taken = deque(imports), set[str]()
    while waiting:
        name, forgiven = waiting.popleft()
        for module in _with_parents(name):
            if module in taken:
                continue
            spec = _spec(module)
            if spec is None:
                break
            if _is_authors(spec):
                taken.add(module)
                _take(module, spec, found)
                if spec.origin and spec.has_location:
                    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
                    waiting.extend(imports_of(Path(spec.origin), package))
                continue
            if not forgiven:
                found.imports.add(name)
            if spec.has_location:
                break  # what lies in it is not the author's either, and to look for that would import it


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1) if parts[0]]


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without running it; its parents, which are packages, are imported on the way, as by Python."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__spec__", None) is not None:
        return loaded.__spec__
    try:
        return find_spec(name)
    except Exception:  # noqa: BLE001 - whatever a parent does when imported: it cannot be imported
        return None


def defining_module(name: str) -> ModuleType | None:
    """Return the module that defines a flow, if it is the author's: it will travel by value."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return module if name == "__main__" or (spec is not None and _is_authors(spec)) else None


def folder_of(module: ModuleType | None) -> Path:
    """Return the folder to which an author's paths are relative: that of the flow's file; a notebook has none."""
    file = getattr(module, "__file__", None)
    return Path(file).absolute().parent if file else Path.cwd()


def _is_authors(spec: ModuleSpec) -> bool:
    """Return whether a module is the author's: its files lie neither among installed packages nor in Python's own."""
    places = [spec.origin] if spec.origin and spec.has_location else _folders(spec)
    return bool(places) and all(map(_authors_path, places))


def _folders(spec: ModuleSpec) -> list[str]:
    """Return a package's folders; editable installs also list what stands for a hook, and is no folder."""
    return [place for place in spec.submodule_search_locations or () if Path(place).is_dir()]


def _authors_path(place: str) -> bool:
    path = Path(place).absolute()
    standard = {Path(sysconfig.get_path(name)).absolute() for name in ("stdlib", "platstdlib")}
    ours = Path(__file__).parents[1]
    return not (_INSTALLED & set(path.parts)) and not any(path.is_relative_to(root) for root in {*standard, ours})


def _take(module: str, spec: ModuleSpec, found: Captured) -> None:
    folder = module.replace(".", "/")
    if spec.submodule_search_locations is None:
        path = Path(str(spec.origin))
        found.files[f"{folder.rpartition('/')[0]}/{path.name}".lstrip("/")] = path
        return
    for root in map(Path, _folders(spec)):
        if spec.origin and spec.has_location and Path(spec.origin).parent == root:
            found.files[f"{folder}/{Path(spec.origin).name}"] = Path(spec.origin)
        for path in _data_files(root):
            found.files[f"{folder}/{path.relative_to(root).as_posix()}"] = path


def _data_files(folder: Path) -> Iterator[Path]:
    """Yield a package's data files: all but Python's, in its folder and in folders below that are no packages."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _NEVER:
            continue
        if path.is_dir():
            if not any(path.glob("*.py")) and not folder.resolve().is_relative_to(path.resolve()):  # a link upwards
                yield from _data_files(path)
        elif path.suffix not in {".py", ".pyc"} and path.is_file():
            yield path


def _include(base: Path, name: str, found: Captured) -> None:
    path = Path(normpath(base / name))
    if not path.exists():
        message = f"include: there is no {path}"
        raise UsageError(message, hint="Give paths relative to the file that defines the flow.")
    root = base if path.is_relative_to(base) else path.parent
    for each in [path] if path.is_file() else sorted(path.rglob("*")):
        parts = each.relative_to(root).parts
        if each.is_file() and not any(part.startswith(".") or part in _NEVER for part in parts):
            found.files["/".join(parts)] = each
