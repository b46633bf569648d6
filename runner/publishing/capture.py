"""Which modules of the author's travel along: those that the flow's file reaches by import statements, and calls alike.

The file that defines the flow travels by value, in the pickle. What it imports of the author's own travels as source
files with the data files of its packages, and is importable in the container; what lies in ``site-packages``,
``dist-packages`` or the standard library is installed there, and only named in the manifest.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
from collections import deque
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.bundle.module_names import owner_of, top_modules
from runner.errors import FlowFailed
from runner.publishing.below import files_below
from runner.publishing.beside import Named, links_left, named_in, notes_on_open, notes_on_programs, path_of, take_named
from runner.publishing.import_calls import Beside, Import, Unknown, Whole
from runner.publishing.import_statements import imports_of, line_of_import
from runner.publishing.included import add, is_left_out, refuse_unreachable, take_included
from runner.publishing.own_metadata import ASKING, own_metadata
from runner.publishing.package_files import files_of, folders_of, is_namespace, tops_of
from runner.publishing.refused_files import refuse_large
from runner.publishing.unknown_names import Pointer, note_of
from runner.tracebacks import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from runner.publishing.source import Source

log = logging.getLogger("runner.publish")
LARGEST = 50_000_000  # bytes of sources; more is nearly always data that belongs into the bucket
_PROCESSES = {"multiprocessing", "concurrent", "joblib", "loky"}  # they may start processes anew


@dataclass
class Captured:
    """Files by their path below ``src/``, and the modules that the captured files import from elsewhere.

    ``others`` are modules that were imported from elsewhere, by their first name, when Python looked for them;
    ``whole`` are packages of which everything is among the files, for a reason that is told with them; ``pointers`` are
    calls that could not be followed, ``named`` what lies beside files that name it, ``unfollowed`` the folders of lines
    whose paths are only known when they run, ``programs`` what lines make a path of that is the program's, and
    ``notes`` what is to be said of these. ``links`` lead to what stays, with the reason, by their path. ``asking`` are
    files that ask what is installed, ``namespaces`` packages without a file of their own.
    """

    files: dict[str, Path] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    whole: set[Whole] = field(default_factory=set)
    pointers: list[Pointer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    named: dict[Path, Named] = field(default_factory=dict)
    unfollowed: dict[tuple[Path, int], Path] = field(default_factory=dict)
    programs: dict[tuple[Path, int], str] = field(default_factory=dict)
    asking: set[Path] = field(default_factory=set)
    namespaces: dict[str, ModuleSpec] = field(default_factory=dict)

    def take(self, module: str, spec: ModuleSpec) -> None:
        """Add the files of a module of the author's."""
        files, links = files_of(module, spec)
        self.files |= files
        self.links |= links


def capture(
    module: ModuleType | None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    reached: Iterable[str] = (),
    source: Source | None = None,
) -> Captured:
    """Find what travels with a flow that this module defines.

    Args:
        module: the module, whose import statements are followed; a notebook has no file that could be read.
        include: files or folders that import statements do not show: paths, relative to the flow's file, each perhaps
            with ``=`` and the place below ``src/`` where it lies instead of its own.
        exclude: patterns (as in ``pathlib.PurePath.match``) of paths below ``src/`` that stay behind, folders with all
            that lies in them.
        reached: modules that the flow is known to import otherwise: from its pickle, or when its tasks are called.
        source: what the flow's own file is there, if it travels.

    Raises FlowFailed above `LARGEST` bytes, naming the largest files, and for a module of whose name Python or an
    installed distribution has one; UsageError for an include that is not there, or in a place where it cannot be.
    """
    patterns = list(exclude)

    def stays(name: str) -> bool:
        return is_left_out(name, patterns)

    found = Captured()
    file = getattr(module, "__file__", None)
    base = folder_of(module)
    included = take_included(base, include, stays)
    itself = {"__main__", module.__name__ if module else ""}
    names: list[Import | Whole] = [Import(name, forgiven=True) for name in sorted(reached) if name not in itself]
    if module is not None and source:
        names += _read(source.file, module.__package__ or "", found, is_flow=True)
        names += [Import(name, forgiven=True) for name in _with_parents(source.module)[:-1]]
        if module.__spec__ and module.__spec__.submodule_search_locations is not None:
            found.take(source.module, module.__spec__)
        found.files[source.place] = source.file
    elif module is not None and file:
        # the file itself is not executed in the container, so what it alone imports need not be there
        imported = _forgiven(_read(Path(file), module.__package__ or "", found, is_flow=True, travels=False))
        names += imported
        if _PROCESSES & {each.name.partition(".")[0] for each in imported}:  # they have nothing of this one's memory
            names += [Import(module.__name__, forgiven=True)] if module.__name__ != "__main__" else []
            found.files |= {Path(file).name: Path(file)} if module.__name__ == "__main__" else {}
    for place, path in included.files.items():
        names += _forgiven(_read_leniently(path, place, found))
    _follow(names, found, included.files)
    found.files = {name: path for name, path in found.files.items() if not stays(name)}
    add(found.files, included.files)
    refuse_unreachable(found.files, included.placed)
    for named in take_named(found.named, found.files, stays, base, LARGEST):
        found.notes += named.notes(base)
    found.notes += notes_on_open(found.unfollowed, found.files, included.files, base)
    found.notes += notes_on_programs(found.programs, found.files, base)
    links = links_left(included.links | found.links, found.files, stays)
    found.notes += [f"note: {place} {why}" for place, why in links.items()]
    if found.asking:
        told, notes = own_metadata(found.files, found.asking, base)
        found.files |= {name: path for name, path in told.items() if not stays(name)}
        found.notes += notes
    found.files = dict(sorted(found.files.items()))
    if source and source.place not in found.files:
        message = f"{source.file} is not to travel"
        raise FlowFailed(message, hint="Leave it in.")
    _refuse_replaced(found, root_of(module), patterns, file)
    _note_pointers(found, included.files, base, file)
    refuse_large(found.files, found.named.values(), base, LARGEST)
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


def _follow(imports: list[Import | Whole], found: Captured, included: dict[str, Path]) -> None:
    waiting, taken = deque(imports), set[str]()
    while waiting:
        each = waiting.popleft()
        is_whole = isinstance(each, Whole)
        if isinstance(each, Whole) and each.opened and _is_chosen(each.name, included):
            is_whole = False
        waiting.extend(_reach(each, taken, found))
        if isinstance(each, Whole) and is_whole:
            waiting.extend(_take_whole(each, found))
    for name, spec in found.namespaces.items():  # of which nothing else travels: its data are what is wanted of it
        if not any(place.startswith(f"{name.replace('.', '/')}/") for place in (*found.files, *included)):
            found.take(name, spec)


def _reach(wanted: Import | Whole, taken: set[str], found: Captured) -> list[Import | Whole]:
    """Take a module and its parents as far as they are the author's, and return what these import."""
    more: list[Import | Whole] = []
    for module in _with_parents(wanted.name):
        if module in taken:
            continue
        spec = _spec(module)
        if spec is None:
            break
        if _is_authors(spec):
            taken.add(module)
            if is_namespace(spec):
                found.namespaces[module] = spec
            else:
                found.take(module, spec)
            if spec.origin and spec.has_location:
                package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
                more += _read(Path(spec.origin), package, found)
            continue
        if "." not in module:
            found.others.add(module)
        if not wanted.forgiven:
            found.imports.add(wanted.name)
        if spec.has_location:
            break  # what lies in it is not the author's either, and to look for that would import it
    return more


def _is_chosen(package: str, included: dict[str, Path]) -> bool:
    """Return whether the author has named files in a package, and so which of them a call opens."""
    return any(place.startswith(f"{package.replace('.', '/')}/") for place in included)


def _take_whole(each: Whole, found: Captured) -> list[Import | Whole]:
    """Take all files of a package of the author's, and return what its modules import."""
    spec = _spec(each.name)
    if spec is not None and spec.submodule_search_locations is None:  # a module stands for the package that it is in
        package = each.name.rpartition(".")[0]
        each, spec = each._replace(name=package), _spec(package) if package else None
    if spec is None or not _is_authors(spec) or each in found.whole:
        return []
    found.whole.add(each)
    more: list[Import | Whole] = []
    for root in folders_of(spec):
        files, links = files_below(Path(root), PurePosixPath(each.name.replace(".", "/")), tops_of(root, each.name))
        found.links |= links
        for place, path in files.items():
            if path.suffix != ".pyc":
                found.files.setdefault(place, path)
                more += _read_leniently(path, place, found)
    return _forgiven(more) if each.opened else more


def _read(
    path: Path, package: str, found: Captured, *, is_flow: bool = False, travels: bool = True
) -> list[Import | Whole]:
    """Return what a file imports, of a module that is only known when it runs at least the package; note the rest."""
    everything = imports_of(path, package, is_flow=is_flow)
    names = [each for each in everything if isinstance(each, Import | Whole)]
    found.asking |= {path} if any(each.name.startswith(ASKING) for each in names) else set()
    lists = any(isinstance(each, Whole) and not each.opened for each in names)  # the modules that it then imports
    for each in everything:
        if isinstance(each, Unknown) and (each.begins or each.opened or not lists):
            pointer = Pointer(path, each)
            found.pointers.append(pointer)
            names += [Import(pointer.package, forgiven=True)] if pointer.package and not each.opened else []
        elif isinstance(each, Beside) and travels:
            names += _read_beside(path, package, each, found)
    return names


def _read_beside(path: Path, package: str, beside: Beside, found: Captured) -> list[Import | Whole]:
    """Note what a file names that lies beside it, and return what modules of that import."""
    if beside.program:
        found.programs[path, beside.line] = beside.program
        return []
    meant = path_of(path, package, beside.place)
    is_pattern = bool(set("*?") & set(beside.place[-1])) and not meant.exists() if beside.place else False
    if path.is_relative_to(meant) or is_pattern:  # the file itself, or its folder: whatever lies there may be meant
        spec = _spec(package) if package else None
        if (beside.is_open or is_pattern) and (not spec or is_namespace(spec)):  # of a package all data files travel
            found.unfollowed.setdefault((path, beside.line), path.parent)
        return []
    named = named_in(path, beside, meant, path_of(path, package, ()))
    if named is None or meant in found.named:
        return []
    found.named[meant] = named
    return _forgiven([each for place, file in named.files.items() for each in _read_leniently(file, place, found)])


def _read_leniently(path: Path, place: str, found: Captured) -> list[Import | Whole]:
    """Return what a file imports that lies at a place; one that cannot be parsed may be no module at all."""
    try:
        return _read(path, place.rpartition("/")[0].replace("/", "."), found)
    except FlowFailed:
        return []


def _forgiven(imports: list[Import | Whole]) -> list[Import | Whole]:
    return [each._replace(forgiven=True) for each in imports]


def _note_pointers(found: Captured, included: dict[str, Path], base: Path, itself: str | None) -> None:
    """Note the calls in what travels of which nothing shows that what they mean travels as well."""
    travelling = {*found.files.values(), *([Path(itself)] if itself else [])}
    by_listing = {each.name for each in found.whole if not each.opened}
    said = set[tuple[Path, int]]()
    for pointer in found.pointers:
        spec = _spec(pointer.package) if pointer.package else None
        if pointer.path not in travelling or pointer.at in said or (spec and not _is_authors(spec)):
            continue
        folders = [Path(each) for each in folders_of(spec)] if spec else []
        meant = {file for folder in folders for file in _meant(pointer, folder)}
        if pointer.is_covered(included, by_listing) or (meant and travelling.issuperset(meant)):
            continue
        said.add(pointer.at)
        found.notes.append(note_of(pointer, base, folders[0] if folders else None))


def _meant(pointer: Pointer, folder: Path) -> Iterable[Path]:
    """Return what a call may mean that looks in a package's folder."""
    return files_below(folder, PurePosixPath()).files.values() if pointer.unknown.opened else folder.glob("*.py")


def root_of(module: ModuleType | None) -> Path:
    """Return the folder that an author's modules are imported from."""
    package = getattr(module, "__package__", None)
    return folder_of(module).parents[package.count(".")] if package else folder_of(module)


def _refuse_replaced(found: Captured, root: Path, excluded: list[str], itself: str | None) -> None:
    """Refuse modules of the author's that Python, or what is installed, has as well: there those would be taken.

    Here one of the two is taken by the order of ``sys.path``, or because it is loaded already. The flow's own file,
    ``itself``, takes nobody's place.
    """
    theirs: dict[str, str] = {}
    for name in found.others:
        spec = PathFinder.find_spec(name, [str(root)])
        if spec and spec.origin and spec.origin != itself and _is_authors(spec):
            below = Path(spec.origin).relative_to(root).as_posix()
            theirs |= {} if is_left_out(below, excluded) else {name: spec.origin}
    theirs |= {name: str(found.files[file]) for name, file in top_modules(found.files).items()}
    installed = [place for place in sys.path if INSTALLED & set(Path(place).parts)]
    for name, path in sorted(theirs.items()):
        if owner := owner_of(name, installed):
            line = line_of_import(Path(itself), name) if itself else None
            where = f"{Path(str(itself)).name}, line {line}: " if line else ""
            message = f"{where}{path} has the name of another module, which would be taken for it: that of {owner}"
            pattern = name if Path(path).name == "__init__.py" else Path(path).name
            hint = f"Rename it, put it in a package of yours, or leave it out: exclude=[{pattern!r}], or -x {pattern}."
            raise FlowFailed(message, hint=hint)


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1) if parts[0]]


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without running it; its parents, which are packages, are imported on the way, as by Python."""
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__spec__", None) is not None:
        return loaded.__spec__
    try:
        return find_spec(name) if "/" not in name else None  # there would be a namespace package in any folder
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
    places = [spec.origin] if spec.origin and spec.has_location else folders_of(spec)
    return bool(places) and all(map(_authors_path, places))


def stays_behind(name: str, exclude: Iterable[str]) -> bool:
    """Return whether a module is left out by one of the patterns of an author's."""
    spec = _spec(name)
    place = name.replace(".", "/")
    is_package = spec is not None and spec.submodule_search_locations is not None
    return spec is not None and is_left_out(f"{place}/__init__.py" if is_package else f"{place}.py", exclude)


def installed_places() -> list[str]:
    """Return the folders on the path in which what is installed lies, or Python itself: none of the author's."""
    return [place for place in sys.path if place and not _authors_path(place)]


def _authors_path(place: str) -> bool:
    path = Path(place).absolute()
    standard = {Path(sysconfig.get_path(name)).absolute() for name in ("stdlib", "platstdlib")}
    ours = Path(__file__).parents[1]
    return not (INSTALLED & set(path.parts)) and not any(path.is_relative_to(root) for root in {*standard, ours})
