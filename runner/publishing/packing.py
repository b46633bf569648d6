"""What of a flow's file travels: the file itself or, where that would give another flow or none, its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.bundle import archive, module_names
from runner.bundle.manifest import check_complete
from runner.bundle.member_names import FLOW, MANIFEST, SOURCES
from runner.errors import BundleCorrupt, FlowFailed
from runner.publishing import capture
from runner.publishing.before_run import describe_as_made
from runner.publishing.beside import NamedRefused
from runner.publishing.bindings import bindings_of
from runner.publishing.features import functions_of, modules_of
from runner.publishing.home_paths import notes_on_paths
from runner.publishing.import_statements import imported_in, paths_of
from runner.publishing.included import left_behind_by
from runner.publishing.proof import Built, ChangedByProgram, prove
from runner.publishing.refused_files import refuse_names
from runner.publishing.source import source_of
from runner.secrets import scanner
from runner.serialization import diagnosis, pickling
from runner.serialization.source import dump_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import FunctionType, ModuleType

    from runner.model.flow import FlowGraph
    from runner.publishing.source import Source
    from runner.schema.documents import Manifest, ManifestFacts, Requirement
    from runner.signing.keys import PrivateKey

_BROUGHT = {"runner", "cloudpickle"}  # every image has them


class Orders(NamedTuple):
    """How a bundle is made: what travels besides, the manifest by what it requires, who signs, and if it is checked.

    ``secrets`` are what it must not hold; None if it may hold any.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    facts_of: Callable[[list[Requirement]], ManifestFacts]
    key: PrivateKey | None
    secrets: list[scanner.Secret] | None
    check: bool


class Packed(NamedTuple):
    """A bundle's bytes, its manifest, the files that travel in it, and what is to be said of it."""

    data: bytes
    manifest: Manifest
    files: dict[str, bytes]
    notes: list[str]


class _Contents(NamedTuple):
    """What a bundle is made of: the pickle, the files, what these import, and the functions that may be looked into."""

    pickled: bytes
    captured: capture.Captured
    modules: set[str]
    functions: list[FunctionType]
    source: Source | None = None


def pack(flow: FlowGraph, orders: Orders) -> Packed:
    """Return the bundle of a flow.

    Raises FlowFailed when it cannot travel, must not, is too large, or is another where it is loaded.
    """
    module = capture.defining_module(flow.module)
    failed: FlowFailed | None = None
    if source := source_of(flow, module):
        try:
            return _checked(flow, module, _of_source(flow, module, source, orders), orders)
        except (ChangedByProgram, NamedRefused):
            raise
        except FlowFailed as error:
            failed = error
    try:
        packed = _checked(flow, module, _of_values(flow, module, orders), orders)
    except FlowFailed as error:
        if failed is None or failed.message == error.message:
            raise
        message = f"{error.message}; nor can the flow's file be imported there: {failed.message}"
        raise FlowFailed(message, hint=error.hint) from error
    if failed:
        lost = "what the file does to others is not done there"
        packed.notes.append(f"note: the values of the flow's file travel instead of the file: {failed.message}; {lost}")
    return packed


def _of_source(flow: FlowGraph, module: ModuleType | None, source: Source, orders: Orders) -> _Contents:
    functions = list(functions_of(flow, flow.module))
    reached = modules_of(functions) | imported_in(functions)
    captured = capture.capture(module, orders.include, orders.exclude, reached, source)
    return _Contents(
        dump_import(source.module, source.name, flow.name, source.alias), captured, reached, functions, source
    )


def _of_values(flow: FlowGraph, module: ModuleType | None, orders: Orders) -> _Contents:
    pickled = pickling.dump_flow(flow, module, bindings_of(module), capture.defining_module)
    reached = pickled.modules | imported_in(pickled.functions)
    captured = capture.capture(module, orders.include, orders.exclude, reached)
    _refuse_left_behind(pickled.names, module)
    return _Contents(pickled.data, captured, reached, pickled.functions)


def _checked(flow: FlowGraph, module: ModuleType | None, contents: _Contents, orders: Orders) -> Packed:
    captured = contents.captured
    files = {name: path.read_bytes() for name, path in captured.files.items()}
    members = {FLOW: contents.pickled, **{SOURCES + name: data for name, data in files.items()}}
    facts = orders.facts_of(_installed(contents.modules | captured.imports))
    if contents.source:
        describe_as_made(flow, facts)
    folder = capture.folder_of(module)
    refuse_names(members, captured.named.values(), folder)
    data, written = _read_again(facts, members, orders.key)
    if orders.secrets is not None:
        _refuse_secrets(flow, contents, written.members, orders.secrets, folder)
    said: list[str] = []
    if orders.check:
        names = bindings_of(module).names.keys()
        said = prove(Built(flow, module, names, data, module_names.modules_in(files), orders.exclude, contents.source))
    travelling = set(captured.files.values() if contents.source else ())
    package = getattr(module, "__package__", None) or ""
    anew = paths_of(contents.source.file, package) if contents.source else set[str]()
    said += notes_on_paths(contents.functions, folder, travelling, anew)
    return Packed(data, written.manifest, files, [*captured.notes, *said])


def _read_again(
    facts: ManifestFacts, members: dict[str, bytes], key: PrivateKey | None
) -> tuple[bytes, archive.Bundle]:
    """Return a bundle's bytes, and what whoever reads them finds. Raises FlowFailed for what nobody would take."""
    try:
        data = archive.write_bundle(facts, members, key)
        written = archive.read_bundle(data)
        check_complete(written.manifest)
    except (BundleCorrupt, ValueError, RecursionError) as error:
        reason = error.message if isinstance(error, BundleCorrupt) else str(error)
        message = f"nobody could read the flow's bundle: {reason}"
        raise FlowFailed(message, hint="Correct what the flow says there; nothing was published.") from error
    return data, written


def _refuse_left_behind(names: set[tuple[str, str]], module: ModuleType | None) -> None:
    """Refuse a pickle that looks something up in the flow's own file, whose module is made of what the pickle holds."""
    absent = {"__main__", module.__name__ if module else ""}
    if found := sorted(name for home, name in names if home in absent):
        message = f"{', '.join(found)} cannot travel: it is only known by its name in the flow's file, which stays here"
        hint = "Put it into a module of its own, which travels as a file, or make it (a cache, say) inside the task."
        raise FlowFailed(message, hint=hint)


def _refuse_secrets(
    flow: FlowGraph,
    contents: _Contents,
    members: Mapping[str, bytes | memoryview],
    secrets: list[scanner.Secret],
    folder: Path,
) -> None:
    """Refuse a bundle that holds a secret; whoever may read the bundle could take it from there."""
    named = {SOURCES + place: each for each in contents.captured.named.values() for place in each.files}
    told: dict[str, str] = {}

    def locate(place: str, holds: Callable[[bytes], bool]) -> str:
        if place in {FLOW, MANIFEST}:
            found = diagnosis.locate(flow, contents.functions, holds)
            return found or ("the flow" if place == FLOW else "the manifest")
        lines = bytes(members[place]).splitlines()
        line = next((number for number, line in enumerate(lines, 1) if holds(line)), None)
        file = place.removeprefix(SOURCES)
        if place in named:
            told[place] = left_behind_by(file)
        names = f", which {named[place].line_in(folder)}, names" if place in named else ""
        return f"the file {file}{f', line {line}' if line else ''}{names}"

    try:
        scanner.refuse_secrets({name: bytes(data) for name, data in members.items()}, secrets, locate)
    except FlowFailed as error:
        if not told:
            raise
        raise NamedRefused(error.message, hint=f"Leave it behind: {' '.join(told.values())}. {error.hint}") from None


def _installed(modules: Iterable[str]) -> list[Requirement]:
    """Return which of the modules some installed distribution brought, one entry for each package."""
    from importlib import metadata

    owners = metadata.packages_distributions()
    found: list[Requirement] = []
    for part in sorted({part for module in modules if (part := capture.installed_part(module))}):
        top = part.split(".")[0]
        if top in owners and top not in _BROUGHT:
            distribution = _owner(part, sorted(set(owners[top])))
            found.append({"module": part, "distribution": distribution, "version": metadata.version(distribution)})
    return found


def _owner(module: str, distributions: list[str]) -> str:
    """Choose the distribution that brought the module, where several share its namespace package."""
    from importlib import metadata

    paths = {f"{module.replace('.', '/')}{end}" for end in ("/__init__.py", ".py")}
    owners = (name for name in distributions if paths & {path.as_posix() for path in metadata.files(name) or ()})
    return distributions[0] if len(distributions) == 1 else next(owners, distributions[0])
