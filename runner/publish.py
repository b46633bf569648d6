"""Author → storage: flow → capture → payload → bundle → storage, one call a stage."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner import bundle, capture, foreign, leaks, manifest, payload, records, signing
from runner.credentials import Credentials, present, resolve
from runner.errors import BucketMissing, FlowFailed, RunnerError, UsageError, WriteFailed
from runner.fetch import newest_version
from runner.load import is_loading
from runner.settings import Settings, process_environ
from runner.storage import open_storage, parse_location
from runner.storage.base import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FunctionType, ModuleType

    from runner.bundle import Bundle
    from runner.capture import Captured
    from runner.flow import Flow
    from runner.signing import KeySource
    from runner.storage.base import Storage
    from runner.storage.declared import Declared

log = logging.getLogger("runner.publish")

_BROUGHT = {"runner", "cloudpickle"}  # every image has them


@dataclass(frozen=True, slots=True)
class Published:
    """Where a bundle lies, its manifest, and the files that travel in it with their sizes in bytes."""

    url: str
    manifest: dict[str, Any]
    files: dict[str, int]


def build_flow(
    obj: object,
    *,
    name: str | None = None,
    storage: Declared | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sign_with: KeySource | None = None,
    allow_secrets: bool = False,
) -> str:
    """Publish a `Flow`, a function, a coroutine function, or anything with ``.run()``, and give the bundle's URL.

    Raises UsageError for something that cannot be run, and what `publish` raises.
    """
    flow = foreign.as_flow(obj, name)
    if storage is not None:
        flow.storage = storage
    return flow.storage.build(include=include, exclude=exclude, sign_with=sign_with, allow_secrets=allow_secrets)


def publish(
    flow: Flow,
    storage: Declared,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sign_with: KeySource | None = None,
    allow_secrets: bool = False,
) -> Published:
    """Store a flow's bundle, and list on standard error what travels in it besides the flow.

    It is signed with the key that is given or, without one, that of RUNNER_SIGNING_KEY, if there is one. A bundle that
    holds a secret is refused, unless that is allowed. Raises UsageError for a key that is none and while a flow is
    being loaded, FlowFailed when it cannot travel, must not or is too large, AlreadyExists when the key is taken,
    WriteFailed when the slug's newest bundle belongs to a flow of another name, and what the storage raises.
    """
    if is_loading():
        message = f"flow {flow.name!r} is built while a flow is being loaded"
        raise UsageError(message, hint='Put the call under «if __name__ == "__main__":».')
    settings = Settings.from_environ(process_environ(), needs_location=False)
    key_of_signer = settings.signing_key if sign_with is None else signing.key_from(sign_with)
    root, opened = _open(storage, settings)
    version = records.new_version()
    key = f"{root}/{storage.key or f'{flow.slug}/{version}'}".strip("/")
    check_key(key)
    _refuse_another(opened, f"{root}/{flow.slug}/".lstrip("/"), flow.name)

    module = capture.defining_module(flow.module)
    pickled = payload.dump_flow(flow, module)
    reached = pickled.modules | capture.imported_in(pickled.functions)
    captured = capture.capture(module, include, exclude, reached)
    _refuse_left_behind(pickled.names, module, captured)
    modules = reached | captured.imports
    facts = manifest.facts_of(flow, version, _installed(modules), storage.secrets)
    files = {name: path.read_bytes() for name, path in captured.files.items()}
    members = {bundle.FLOW: pickled.data, **{bundle.SOURCES + name: data for name, data in files.items()}}
    data = bundle.write_bundle(facts, members, key_of_signer)
    written = bundle.read_bundle(data)
    if not allow_secrets:
        named = {*storage.secrets, *settings.secrets}
        secrets = [leaks.private(storage.private_texts()), *leaks.secrets_of(named, settings.environ)]
        _refuse_secrets(flow, pickled.functions, written, secrets)

    opened.create(key, data)
    if key_of_signer:
        print(f"signed with the key {key_of_signer.public.id}", file=sys.stderr)  # noqa: T201 - as below
    for name, content in files.items():
        print(f"takes along {name} ({len(content):,} bytes)", file=sys.stderr)  # noqa: T201 - what leaves is told
    return Published(opened.url(key), written.manifest, {name: len(data) for name, data in files.items()})


def _open(storage: Declared, settings: Settings) -> tuple[str, Storage]:
    """Give the root's key and the opened storage; what the author handed over in person counts as a secret."""
    environ = settings.environ
    location = parse_location(storage.url).as_root()
    extra = storage.extra_secrets()
    # those that the flow names and that are here, and those that RUNNER_SECRETS names, as for any other command
    named = {*storage.secrets, *settings.secrets} & set(present(environ))
    credentials = Credentials(extra) if extra else resolve(sorted(named), environ)
    return location.key, open_storage(location, credentials, environ)


def _refuse_another(storage: Storage, folder: str, name: str) -> None:
    """Refuse to mix two flows in one folder: names like ``A b`` and ``a-b`` have one slug."""
    try:
        newest = newest_version(storage, folder)
    except BucketMissing:
        return  # a folder is made when something is put there, and a bucket's absence told then
    if newest is None:
        return
    try:
        other = bundle.read_bundle(storage.read(newest)).manifest["flow"]["name"]
    except RunnerError as error:
        log.warning("the newest bundle there, %s, cannot be read: %s", newest, error)
        return
    if other != name:
        message = f"{storage.url(folder)} belongs to flow {other!r}, and flow {name!r} would lie among its bundles"
        raise WriteFailed(message, hint="Choose another name or another prefix.")


def _refuse_left_behind(names: set[tuple[str, str]], module: ModuleType | None, captured: Captured) -> None:
    """Refuse a pickle that looks something up in the flow's own file, unless that travels as a module as well."""
    absent = {"__main__"}  # where the flow runs, that is runner
    if module is not None and not captured.has(module.__name__):
        absent.add(module.__name__)
    if found := sorted(name for home, name in names if home in absent):
        message = f"{', '.join(found)} cannot travel: it is only known by its name in the flow's file, which stays here"
        hint = "Put it into a module of its own, which travels as a file, or make it (a cache, say) inside the task."
        raise FlowFailed(message, hint=hint)


def _refuse_secrets(flow: Flow, functions: list[FunctionType], written: Bundle, secrets: list[leaks.Secret]) -> None:
    """Refuse a bundle that holds a secret; whoever may read the bundle could take it from there."""

    def locate(place: str, holds: Callable[[bytes], bool]) -> str:
        if place in {bundle.FLOW, bundle.MANIFEST}:
            return payload.where(flow, functions, holds) or ("the flow" if place == bundle.FLOW else "the manifest")
        return f"the file {place.removeprefix(bundle.SOURCES)}"

    leaks.refuse({name: bytes(data) for name, data in written.members.items()}, secrets, locate)


def _installed(modules: Iterable[str]) -> list[dict[str, str]]:
    """Give ``{"module", "distribution", "version"}`` of the packages that some installed distribution brought."""
    from importlib import metadata

    owners = metadata.packages_distributions()
    found = []
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
