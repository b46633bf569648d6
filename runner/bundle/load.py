"""From fetched bytes to a live flow. Every check that can be made without unpickling is made before it."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from runner import images, logs
from runner.bundle import manifest
from runner.bundle.archive import ForeignObject
from runner.bundle.member_names import FLOW, SOURCES
from runner.errors import BundleCorrupt, EnvironmentWrong, FlowFailed, Incompatible, UsageError
from runner.model import parameters
from runner.model.arguments import digest_of
from runner.model.flow import FlowGraph
from runner.model.loading import loading

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from runner.bundle.archive import Bundle
    from runner.bundle.trust import Admitted
    from runner.schema.documents import Manifest
    from runner.settings import Settings

log = logs.logger("load")
_PROGRAMS = (b"#!", b"\x7fE")  # how scripts and Linux' programs begin: a bundle does not hold which may be executed


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

    Raises BundleCorrupt, Incompatible and EnvironmentWrong; of a bundle nothing is unpickled before what can be ruled
    out of these is. Raises FlowFailed for what a line of the author's does wrong meanwhile.
    """
    opened, scheme = admitted.opened, admitted.place.scheme
    if isinstance(opened, ForeignObject):
        return _load_foreign(opened.data, scheme, settings)
    facts, image = opened.manifest, images.image_for(scheme, settings.image)
    manifest.check_fit(facts, image)
    parameters.check_parameters(facts["parameters"], settings.parameters or {})
    flow = load_bundle(opened, image, settings.temporary, on_unpacked)
    return Loaded(flow, flow.with_defaults(settings.parameters or {}))


def load_bundle(opened: Bundle, image: str, temporary: str, on_unpacked: Callable[[str], None]) -> FlowGraph:
    """Load the flow of a bundle that was verified and fits; raises as `load` does.

    Args:
        opened: the bundle.
        image: the image that the advice names.
        temporary: the folder in which that of the author's modules is made.
        on_unpacked: as in `load`.
    """
    from runner.serialization import pickling

    with loading(), _ready_for_prefect(opened, image):
        folder = _unpack(opened, temporary, on_unpacked)
        flow = _runnable(pickling.load_flow(opened.members[FLOW], main=True), opened.manifest["flow"]["name"])
    _hold_to(opened.manifest, flow, folder)
    return flow


def try_loading(admitted: Admitted, settings: Settings) -> FlowGraph:
    """Load a flow as a run would, and leave none of its modules behind. Raises as `load` does."""
    import shutil

    folders: list[str] = []
    try:
        return load(admitted, settings, folders.append).flow
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _load_foreign(data: bytes, scheme: str, settings: Settings) -> Loaded:
    """Load what runner did not write: only its outermost form could be checked."""
    from runner.serialization import foreign, pickling, prefect_setup

    pickled, versions = foreign.open_pickle(data)
    image = images.image_for(scheme, settings.image)
    if "python" in versions:
        manifest.check_python(versions["python"], sys.implementation.name, image)
    prefect_setup.check_version(prefect_setup.required_version(pickled, versions.get("prefect")), image)
    log.warning("this object is a plain pickle, not a bundle: nothing of it could be verified before it was loaded")
    with loading(), prefect_setup.logging_as_ours():
        obj = pickling.load_flow(pickled, main=True)
    flow = _runnable(obj)
    parameters.check_parameters(parameters.parameters_of(flow), settings.parameters or {})
    return Loaded(flow, flow.with_defaults(settings.parameters or {}))


def _ready_for_prefect(opened: Bundle, image: str) -> AbstractContextManager[None]:
    """Return in what a bundle is unpickled that may import Prefect; a flow of Prefect's own needs its version, too."""
    versions = [need["version"] for need in opened.manifest["requires"] if need["module"].split(".")[0] == "prefect"]
    if not versions:
        return nullcontext()
    from runner.serialization import prefect_setup

    pickled = bytes(opened.members[FLOW])
    if b"Prefect1Run" in pickled or b"ForeignCall" in pickled:
        prefect_setup.check_version(versions[0], image)
    return prefect_setup.logging_as_ours()


def _runnable(obj: object, name: str | None = None) -> FlowGraph:
    if isinstance(obj, FlowGraph):
        return obj
    from runner.serialization import foreign

    try:
        return foreign.as_flow(obj, name)
    except UsageError as error:
        raise BundleCorrupt(f"the object holds no flow: {error.message}", hint="Store a flow there.") from error


def _hold_to(facts: Manifest, flow: FlowGraph, folder: str) -> None:
    """Hold a flow to what its manifest says, whatever its file did when it was imported: its tasks, and its defaults.

    ``folder`` is that of the author's modules. Results of tasks of other arguments are no other start's to take.

    Raises FlowFailed for other tasks or parameters than it was built with.
    """
    built = {each["task"] for each in facts["tasks"]} | {f"parameter {each['name']}" for each in facts["parameters"]}
    here = {node.slug for node in flow.nodes} | {f"parameter {each.name}" for each in flow.parameters}
    if others := sorted(built ^ here):
        message = f"the flow has other tasks or parameters here than where it was built: {', '.join(others[:5])}"
        hint = "What its file reads when it is imported (variables, files, services) must be the same here."
        raise FlowFailed(message, hint=hint)
    defaults = {each["name"]: each["default"] for each in facts["parameters"] if "default" in each}
    digests = {each["task"]: each.get("arguments") for each in facts["tasks"]}
    flow.varying = {node.slug for node in flow.nodes if digests[node.slug] not in {None, digest_of(node, folder)}}
    for parameter in flow.parameters:
        if parameter.name in defaults and defaults[parameter.name] != parameter.default:
            parameter.default = defaults[parameter.name]


def _unpack(opened: Bundle, inside: str, on_unpacked: Callable[[str], None]) -> str:
    """Unpack the author's modules into a private folder, last on the path so that they never hide an installed one.

    Nor may another one take the place of theirs, unless it is the same to the byte. Returns the folder, or nothing.
    Raises Incompatible.
    """
    sources = {name.removeprefix(SOURCES): data for name, data in opened.members.items() if name.startswith(SOURCES)}
    if not sources:
        return ""
    from runner.bundle import module_folder, module_names

    installed = [place for place in sys.path if not module_folder.is_one(place)]
    for name in module_names.top_modules(sources):
        owner = module_names.owner_of(name, installed)
        if owner and not module_names.holds(owner, name, sources):
            message = f"the flow brings a module {name} of its own, and that of {owner} would be taken here"
            hint = f"Rename the flow's, leave it out (runner build -x), or take an image that has no {name}."
            raise Incompatible(message, hint=hint)
    try:
        folder = module_folder.make_folder(inside)
        on_unpacked(folder)
        for name, data in sources.items():
            path = f"{folder}/{name}"
            os.makedirs(path.rpartition("/")[0], exist_ok=True)  # noqa: PTH103 - pathlib costs the start 5 ms
            with open(path, "wb") as file:  # noqa: PTH123 - as above
                file.write(data)
            if data[:2] in _PROGRAMS:
                os.chmod(path, 0o700)  # noqa: PTH101 - as above
    except OSError as error:
        message = f"the flow's modules cannot be unpacked: {error}"
        raise EnvironmentWrong(
            message, hint="Give the container a writable folder, --tmpfs /tmp, or set TMPDIR."
        ) from error
    sys.path.append(folder)
    return folder
