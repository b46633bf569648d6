"""From fetched bytes to a live flow. Every check that can be made without unpickling is made before it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from runner import images, logs
from runner.bundle import manifest
from runner.bundle.archive import ForeignObject
from runner.bundle.member_names import FLOW, SOURCES
from runner.errors import BundleCorrupt, EnvironmentWrong, UsageError
from runner.model import parameters
from runner.model.flow import FlowGraph
from runner.model.loading import loading

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.bundle.archive import Bundle
    from runner.bundle.trust import Admitted
    from runner.settings import Settings

log = logs.logger("load")


class Loaded(NamedTuple):
    """A flow that can run, and a value for each of its parameters."""

    flow: FlowGraph
    parameters: dict[str, Any]


def load(admitted: Admitted, settings: Settings, on_unpacked: Callable[[str], None]) -> Loaded:
    """Load the flow of what may run here.

    Args:
        admitted: what `runner.bundle.trust.admit` returned.
        settings: the parameters, and the folder for temporary files.
        on_unpacked: called with the temporary folder that holds the author's modules; the caller removes it.

    Raises BundleCorrupt, Incompatible and EnvironmentWrong; of a bundle nothing is unpickled before all of these are
    ruled out.
    """
    opened, scheme = admitted.opened, admitted.place.scheme
    if isinstance(opened, ForeignObject):
        return _load_foreign(opened.data, scheme, settings)
    facts = opened.manifest
    manifest.check_fit(facts, images.image_for(scheme, settings.image))
    parameters.check_parameters(facts["parameters"], settings.parameters or {})
    with loading():
        _unpack(opened, settings.temporary, on_unpacked)
        flow = _runnable(_unpickled(opened.members[FLOW]))
    return Loaded(flow, flow.with_defaults(settings.parameters or {}))


def _load_foreign(data: bytes, scheme: str, settings: Settings) -> Loaded:
    """Load what runner did not write: only its outermost form could be checked."""
    from runner.serialization import foreign

    pickled, versions = foreign.open_pickle(data)
    if "python" in versions:
        manifest.check_python(versions["python"], sys.implementation.name, images.image_for(scheme, settings.image))
    log.warning("this object is a plain pickle, not a bundle: nothing of it could be verified before it was loaded")
    with loading():
        obj = _unpickled(pickled)
    foreign.quiet_prefect()
    flow = _runnable(obj)
    parameters.check_parameters(parameters.parameters_of(flow), settings.parameters or {})
    return Loaded(flow, flow.with_defaults(settings.parameters or {}))


def _unpickled(data: bytes | memoryview) -> object:
    """Unpickle, which runs the author's code; a module of theirs that calls ``sys.exit`` is a corrupt bundle."""
    from runner.serialization import pickling

    try:
        return pickling.load_flow(data)
    except SystemExit as error:
        message = f"the flow called sys.exit({error.code!r}) while it was being loaded"
        hint = 'Put what a script does under «if __name__ == "__main__":».'
        raise BundleCorrupt(message, hint=hint) from error


def _runnable(obj: object) -> FlowGraph:
    if isinstance(obj, FlowGraph):
        return obj
    from runner.serialization import foreign

    try:
        return foreign.as_flow(obj)
    except UsageError as error:
        raise BundleCorrupt(f"the object holds no flow: {error.message}", hint="Store a flow there.") from error


def _unpack(opened: Bundle, inside: str, on_unpacked: Callable[[str], None]) -> None:
    """Unpack the author's modules into a private folder, last on the path so that they never hide an installed one."""
    sources = {name: data for name, data in opened.members.items() if name.startswith(SOURCES)}
    if not sources:
        return
    from pathlib import Path

    from runner.bundle import module_folder

    try:
        folder = module_folder.make_folder(inside)
        on_unpacked(folder)
        for name, data in sources.items():
            path = Path(folder, name.removeprefix(SOURCES))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        message = f"the flow's modules cannot be unpacked: {error}"
        raise EnvironmentWrong(
            message, hint="Give the container a writable folder, --tmpfs /tmp, or set TMPDIR."
        ) from error
    sys.path.append(folder)
