"""From an author's flow to a bundle in a storage, one call a stage."""

from __future__ import annotations

import hashlib
import logging
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner import naming
from runner.backends import open_storage
from runner.backends.errors import make_error
from runner.bundle import archive, manifest
from runner.bundle.fetch import newest_version
from runner.bundle.pointers import Named
from runner.environ import process_environ
from runner.errors import AlreadyExists, BucketMissing, NotFound, RunnerError, UsageError, WriteFailed
from runner.limits import limit_of
from runner.location import check_key, parse_location, split_alias
from runner.logs import printable
from runner.model.arguments import digest_of
from runner.model.loading import is_loading
from runner.publishing.capture import defining_module, root_of
from runner.publishing.newest import point_to_newest
from runner.publishing.packing import Orders, pack
from runner.secrets import scanner
from runner.secrets.named import Credentials, known_secrets_present, resolve
from runner.settings import Settings
from runner.signing import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from runner.backends.base import Storage
    from runner.model.flow import FlowGraph
    from runner.schema.documents import EnvironmentRecord, Manifest, ManifestFacts, Requirement
    from runner.signing.keys import KeySource

log = logging.getLogger("runner.publish")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a flow is published, and what its storage and environment say of it.

    ``url`` is the root's, ``key`` an own key of the bundle below it. ``secrets`` are names. ``handed_over`` are secrets
    by name that open the storage from here alone, ``private_texts`` what the bundle must not hold.
    """

    url: str
    key: str | None = None
    secrets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    image: str | None = None
    environment: EnvironmentRecord | None = None
    handed_over: Mapping[str, str] = field(default_factory=dict)
    private_texts: AbstractSet[str] = frozenset()


Destination.__module__ = "runner"  # see runner.model.flow.FlowGraph


@dataclass(frozen=True, slots=True)
class Published:
    """Where a bundle lies, its manifest, and the files that travel in it with their sizes in bytes."""

    url: str
    manifest: Manifest
    files: dict[str, int]


Published.__module__ = "runner"  # see runner.model.flow.FlowGraph


def publish(
    flow: FlowGraph,
    destination: Destination,
    *,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sign_with: KeySource | None = None,
    allow_secrets: bool = False,
    check: bool = True,
) -> Published:
    """Store a flow's bundle, and list on standard error what travels in it besides the flow.

    It is signed with the key that is given or, without one, that of RUNNER_SIGNING_KEY, if there is one, and so is then
    the pointer to the flow's newest version. A bundle that holds a secret is refused, unless that is allowed, and so is
    one that cannot be loaded or does not give the same flow, unless that is not to be checked.

    Raises UsageError for a key that is none and while a flow is being loaded, FlowFailed when it cannot travel, must
    not or is too large, AlreadyExists when the key is taken, WriteFailed when the slug's newest bundle belongs to a
    flow of another name, and what the storage raises.
    """
    if is_loading():
        message = f"flow {flow.name!r} is built while a flow is being loaded"
        raise UsageError(message, hint='Put the call under «if __name__ == "__main__":».')
    settings = Settings.from_environ(process_environ(), needs_location=False)
    key_of_signer = settings.signing_key if sign_with is None else keys.key_from(sign_with)
    root, opened = _open(destination, settings)
    version = naming.new_version()
    key = f"{root}/{destination.key or f'{flow.slug}/{version}'}".strip("/")
    check_key(key)
    if split_alias(key)[1]:
        message = f"{key} could not be run: what stands after its @ would be taken for an alias"
        raise UsageError(message, hint="Choose another key.")
    newest = _refuse_another(opened, f"{root}/{flow.slug}/".lstrip("/"), flow.name)

    folder = str(root_of(defining_module(flow.module)))

    def facts_of(requires: list[Requirement]) -> ManifestFacts:
        labels, image = destination.labels, destination.image
        facts = manifest.facts_of(
            flow, version, requires, key=key, labels=labels, image=image, secrets=destination.secrets
        )
        if destination.environment:
            facts["environment"] = destination.environment
        for node, use in zip(flow.nodes, facts["tasks"], strict=True):
            use["arguments"] = digest_of(node, folder)
        return facts

    named = {*destination.secrets, *settings.secrets}
    handed_over = scanner.handed_over_secret(destination.private_texts)
    secrets = None if allow_secrets else [handed_over, *scanner.collect_secrets(named, settings.environ)]
    packed = pack(flow, Orders(tuple(include), tuple(exclude), facts_of, key_of_signer, secrets, check))
    for note in packed.notes:
        print(printable(note), file=sys.stderr)  # noqa: T201 - as below

    data = packed.data
    _store(opened, key, data, newest, is_own_key=bool(destination.key))
    if key_of_signer and not destination.key:
        pointed_to = Named(flow.name, version, hashlib.sha256(data).hexdigest())
        point_to_newest(opened, key.rpartition("/")[0], pointed_to, key_of_signer, settings.trusted_keys)
    if key_of_signer:
        print(f"signed with the key {key_of_signer.public.id}", file=sys.stderr)  # noqa: T201 - as below
    for name, content in packed.files.items():
        print(f"takes along {printable(name)} ({len(content):,} bytes)", file=sys.stderr)  # noqa: T201 - what leaves is listed
    sizes = {name: len(content) for name, content in packed.files.items()}
    return Published(opened.url(key), packed.manifest, sizes)


def _open(destination: Destination, settings: Settings) -> tuple[str, Storage]:
    """Return the root's key and the opened storage; what the author gave to its declaration counts as a secret."""
    environ = settings.environ
    location = parse_location(destination.url).as_root()
    extra = destination.handed_over
    # those that the flow names and that are here, and those that RUNNER_SECRETS names, as for any other command
    named = {*destination.secrets, *settings.secrets} & set(known_secrets_present(environ))
    credentials = Credentials(dict(extra)) if extra else resolve(sorted(named), environ)
    storage = open_storage(location, credentials, environ)
    storage.warn_of_writers()
    return location.key, storage


def _store(storage: Storage, key: str, data: bytes, newest: str | None, *, is_own_key: bool) -> None:
    if is_own_key:
        _refuse_taken(storage, key)
    storage.create(key, data)
    if newest and not is_own_key and newest > key:  # on another machine, whose clock, or this one's, is wrong
        log.warning("%s goes on to be the newest, and to run: its name tells a later time", storage.url(newest))


def _refuse_taken(storage: Storage, key: str) -> None:
    """Refuse a key at which something lies, also where the storage would store over it."""
    try:
        next(storage.stream(key, 0, 1), None)
    except NotFound:
        return
    raise make_error(AlreadyExists, storage, "write", key)


def _refuse_another(storage: Storage, folder: str, name: str) -> str | None:
    """Refuse to mix two flows in one folder: names like ``A b`` and ``a-b`` have one slug; return the newest bundle."""
    try:
        newest = newest_version(storage, folder)
    except BucketMissing:
        return None  # a folder is made when something is put there, and a bucket's absence found then
    if newest is None:
        return None
    try:
        other = archive.read_bundle(storage.read(newest, limit=limit_of("bundle"))).manifest["flow"]["name"]
    except RunnerError as error:
        log.warning("the newest bundle there, %s, cannot be read: %s", newest, error)
        return newest
    if other != name:
        message = f"{storage.url(folder)} belongs to flow {other!r}, and flow {name!r} would lie among its bundles"
        raise WriteFailed(message, hint="Choose another name or another prefix.")
    return newest
