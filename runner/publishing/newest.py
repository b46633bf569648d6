"""Writing the pointer to a flow's newest version, whoever else builds that flow at the same time."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from runner.bundle import archive, pointers
from runner.bundle.fetch import newest_version
from runner.bundle.pointers import Named, Pointer
from runner.bundle.trust import check_signed
from runner.errors import RunnerError
from runner.limits import limit_of
from runner.location import Location

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.backends.base import Storage
    from runner.signing.keys import PrivateKey, PublicKey

log = logging.getLogger("runner.publish")


def point_to_newest(
    storage: Storage, folder: str, named: Named, key: PrivateKey, trusted: Sequence[PublicKey] = ()
) -> None:
    """Let a flow's pointer name a version that was just stored, or a newer one that was signed meanwhile.

    What is newer is looked for before and after the pointer is written, and who builds stores the bundle first: so of
    any builds at once the last to write the pointer sees the newest bundle of all. Only what the own key or a trusted
    one signed is pointed to. Raises what the storage raises.
    """
    written = None
    while True:
        newest = (newest_version(storage, f"{folder}/") or "").rpartition("/")[2]
        if newest > named.version:
            named = _named_if_signed(storage, folder, newest, (key.public, *trusted)) or named
        if written == named:
            return
        pointers.write(storage, Pointer(folder), named, key)
        written = named


def _named_if_signed(storage: Storage, folder: str, version: str, trusted: Sequence[PublicKey]) -> Named | None:
    """Return what a pointer says of a version that somebody else stored, if one of these keys signed it."""
    object_key = f"{folder}/{version}"
    try:
        data = storage.read(object_key, limit=limit_of("bundle"))
        opened = archive.read_bundle(data)
        check_signed(opened, trusted, Location(storage.scheme, storage.container, object_key))
    except RunnerError as error:
        log.warning("%s is newer, and is not pointed to: %s", storage.url(object_key), error)
        return None
    return Named(opened.manifest["flow"]["name"], version, hashlib.sha256(data).hexdigest())
