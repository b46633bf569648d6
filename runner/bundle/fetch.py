"""Which object a location names, and its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner import naming
from runner.bundle.trust import check_digest
from runner.errors import BucketMissing, NotFound
from runner.limits import limit_of
from runner.location import invalid_key

if TYPE_CHECKING:
    from runner.backends.base import Storage


def fetch(storage: Storage, key: str, sha256: str | None) -> tuple[str, bytes]:
    """Return key and bytes of the object of that key or, if there is none, of the newest version of the flow there.

    Raises NotFound when there is neither, Untrusted when a digest is given and is not theirs, and what the storage
    raises.
    """
    found, data = _find(storage, key)
    check_digest(data, sha256, storage.url(found))
    return found, data


def _find(storage: Storage, key: str) -> tuple[str, bytes]:
    if not key:
        message = f"{storage.url('')} is a bucket, and names no flow in it"
        raise NotFound(message, hint="Add the flow's name; runner ls lists what is there.")
    try:
        return key, storage.read(key, limit=limit_of("bundle"))
    except BucketMissing:
        raise
    except NotFound:
        newest = newest_version(storage, f"{key}/")
    if newest is None:
        message = f"there is neither an object nor a flow at {storage.url(key)}"
        raise NotFound(message, hint="Check the name; runner ls lists what is there.")
    return newest, storage.read(newest, limit=limit_of("bundle"))


def newest_version(storage: Storage, folder: str) -> str | None:
    """Return the key of a flow's newest bundle: the greatest name with a time directly in its folder.

    Names that runner gives to nothing, as anybody may put them into a bucket, are passed over.
    """
    _, entries = storage.list_folder(folder)
    versions = [entry.key for entry in entries if naming.VERSION.fullmatch(entry.key.removeprefix(folder))]
    return max((key for key in versions if not invalid_key(key)), default=None)
