"""Which object a location names, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner import naming
from runner.backends.background import Background
from runner.bundle.trust import check_digest
from runner.errors import NotFound, Untrusted
from runner.limits import limit_of
from runner.location import invalid_key

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.bundle.pointers import Pointer
    from runner.location import Location
    from runner.schema.documents import PointerDocument
    from runner.settings import Settings


def fetch(storage: Storage, location: Location, settings: Settings) -> tuple[str, bytes]:
    """Return key and bytes of what a location names: an object, the newest version of a flow, or that of its alias.

    With trusted keys the newest version is no older than the one that the signed pointer beside it names. A storage
    that everybody may write to is warned of.

    Raises NotFound when there is no such thing, Untrusted, also when another digest is asked for, and what the storage
    raises.
    """
    key, data = _find(storage, location, settings)
    check_digest(data, settings.bundle_sha256, storage.url(key))
    return key, data


def _find(storage: Storage, location: Location, settings: Settings) -> tuple[str, bytes]:
    key = location.key
    if not key:
        message = f"{storage.url('')} is a bucket, and names no flow in it"
        raise NotFound(message, hint="Add the flow's name; runner ls lists what is there.")
    storage.warn_of_writers()
    if location.alias:
        return _fetch_alias(storage, key, location.alias, settings)
    is_version = bool(naming.VERSION.fullmatch(key.rpartition("/")[2]))
    pointing = None
    if settings.trusted_keys and not is_version:  # beside the other requests, so that it costs no round trip in a row
        from runner.bundle import pointers

        pointing = Background(lambda: pointers.read(storage, pointers.Pointer(key), settings))
    data = storage.read_or_none(key, limit=limit_of("bundle"))
    if data is not None:
        if settings.max_age and not is_version and not settings.bundle_sha256:
            if pointing:  # a command that ended meanwhile would be aborted: Python stops the thread inside the request
                pointing.join()
            message = f"{storage.url(key)} has a key of its own, and nothing tells its age, which RUNNER_MAX_AGE limits"
            raise Untrusted(message, hint="Give its digest, RUNNER_BUNDLE_SHA256, or name a version in full.")
        return key, data
    newest = newest_version(storage, f"{key}/")
    if pointing:
        return _fetch_pointed_at(storage, key, newest, pointing.result(), settings)
    if newest is None:
        raise _nothing_at(storage, key)
    return newest, storage.read(newest, limit=limit_of("bundle"))


def newest_version(storage: Storage, folder: str) -> str | None:
    """Return the key of a flow's newest bundle: the greatest name with a time directly in its folder.

    Names that runner gives to nothing, as anybody may put them into a bucket, are passed over.
    """
    _, entries = storage.list_folder(folder)
    versions = [entry.key for entry in entries if naming.VERSION.fullmatch(entry.key.removeprefix(folder))]
    return max((key for key in versions if not invalid_key(key)), default=None)


def _fetch_alias(storage: Storage, folder: str, alias: str, settings: Settings) -> tuple[str, bytes]:
    from runner.bundle import pointers

    pointer = pointers.Pointer(folder, alias)
    document = pointers.read(storage, pointer, settings)
    if document is None:
        message = f"there is no alias {pointer.alias!r} of {storage.url(pointer.folder)}"
        raise NotFound(message, hint=f"{pointer.remedy} makes it; runner ls lists what is there.")
    return _read_named(storage, pointer, document, settings)


def _fetch_pointed_at(
    storage: Storage, folder: str, newest: str | None, document: PointerDocument | None, settings: Settings
) -> tuple[str, bytes]:
    """Return the bundle that the pointer names or, where it is just being built, the newer one that is listed.

    That must be signed as well, so who cannot sign gains nothing by it; and a pointer that is put back to an older
    version, by somebody or by an older build that ends later, is no step back while the newer bundle is there.
    """
    from runner.bundle.pointers import Pointer

    pointer = Pointer(folder)
    if document is None and settings.max_age:
        message = f"there is no {storage.url(pointer.key)}, which RUNNER_MAX_AGE asks for"
        raise Untrusted(message, hint=f"Build the flow with RUNNER_SIGNING_KEY, or make it: {pointer.remedy}.")
    listed = newest.rpartition("/")[2] if newest else ""
    if document and listed <= document["version"]:
        return _read_named(storage, pointer, document, settings)
    if newest is None:
        raise _nothing_at(storage, folder)
    return newest, storage.read(newest, limit=limit_of("bundle"))


def _read_named(storage: Storage, pointer: Pointer, document: PointerDocument, settings: Settings) -> tuple[str, bytes]:
    """Return the bundle that a pointer names. Raises Untrusted if it is another, or with trusted keys none any more."""
    import hashlib

    key = f"{pointer.folder}/{document['version']}"
    data = storage.read_or_none(key, limit=limit_of("bundle"))
    if data is None:
        message = f"{storage.url(pointer.key)} names version {document['version']}, which is not there any more"
        hint = f"Look who deleted it; to have another version run, {pointer.remedy}, naming it in full."
        raise (Untrusted if settings.trusted_keys else NotFound)(message, hint=hint)
    if hashlib.sha256(data).hexdigest() != document["sha256"]:
        message = f"{storage.url(key)} is not the bundle that {storage.url(pointer.key)} names: its digest is another"
        raise Untrusted(message, hint="It was exchanged after that: look who did it, and build the flow again.")
    return key, data


def _nothing_at(storage: Storage, key: str) -> NotFound:
    message = f"there is neither an object nor a flow at {storage.url(key)}"
    return NotFound(message, hint="Check the name; runner ls lists what is there.")
