"""Pointers: signed documents that say which version of a flow is the newest, and what an alias stands for.

Whoever can write to a bucket can delete its newest bundle, and so make an older one the newest, which is signed too. So
who signs a bundle also signs ``<flow>/latest.json``: its version, its digest, and when that was said. It is what the
timestamp role is in The Update Framework (https://theupdateframework.github.io/specification/latest/#timestamp), with
an age that the reader demands in place of an expiry. ``<flow>/aliases/<alias>.json`` is of the same form.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from runner import naming
from runner.errors import BundleCorrupt, Untrusted
from runner.limits import limit_of
from runner.location import is_alias
from runner.schema.validation import SHAPES, first_violation
from runner.schemes import LOCAL

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.schema.documents import PointerDocument
    from runner.settings import Settings
    from runner.signing.keys import PrivateKey
    from runner.signing.signatures import Purpose

LATEST = "latest.json"
ALIASES = "aliases"  # the folder, in that of a flow
_NAMES = frozenset(SHAPES["pointer"])  # of its parts: there are no others


class Pointer(NamedTuple):
    """Where a pointer of a flow belongs: the key of the flow's folder, and the alias, which is empty for the newest."""

    folder: str
    alias: str = ""

    @property
    def key(self) -> str:
        """The key of its object."""
        return f"{self.folder}/{ALIASES}/{self.alias}.json" if self.alias else f"{self.folder}/{LATEST}"

    @property
    def purpose(self) -> Purpose:
        """What its signature is for."""
        from runner.signing import signatures

        return signatures.ALIAS_POINTER if self.alias else signatures.LATEST_POINTER

    @property
    def remedy(self) -> str:
        """The command that makes it anew."""
        return f"runner promote LOCATION --as {self.alias}" if self.alias else "runner sign LOCATION"


class Named(NamedTuple):
    """The version of a flow that a pointer names, and the digest of its bundle."""

    flow: str
    version: str
    sha256: str


def write(storage: Storage, pointer: Pointer, named: Named, key: PrivateKey | None) -> PointerDocument:
    """Store a pointer, in place of the one that is there, and return it. Raises what `Storage.replace` raises."""
    document: PointerDocument = {
        "format": 1,
        "alias": pointer.alias or None,
        "flow": named.flow,
        "place": pointer.folder,
        "version": named.version,
        "sha256": named.sha256,
        "made": naming.now(),
    }
    if key:
        from runner.signing import signatures

        document["signature"] = signatures.sign_document(key, pointer.purpose, document)
    storage.replace(pointer.key, json.dumps(document).encode() + b"\n")
    return document


def read(storage: Storage, pointer: Pointer, settings: Settings) -> PointerDocument | None:
    """Return a pointer if there is one: signed by a trusted key, where there are any, and not older than is allowed.

    Raises Untrusted, without trusted keys BundleCorrupt for what is no pointer, and what the storage raises.
    """
    where = storage.url(pointer.key)
    try:
        data = storage.read_or_none(pointer.key, limit=limit_of("pointer"))
        if data is None:
            return None
        document = _decode(data, where)
    except BundleCorrupt as error:  # also one that is too large
        if not settings.trusted_keys:
            raise
        raise Untrusted(error.message, hint=error.hint) from error
    if settings.trusted_keys:
        _check_signature(document, pointer, where, settings)
    _check_place(document, pointer, where, storage.scheme)
    if settings.max_age:
        _check_age(document, pointer, where, settings.max_age)
    return document


def is_pointer(key: str) -> bool:
    """Return whether an object in a flow's folder is the pointer to its newest version."""
    return key.rpartition("/")[2] == LATEST


def aliases(storage: Storage, folder: str) -> list[str]:
    """Return the names of a flow's aliases, sorted; what else lies there is passed over."""
    _, entries = storage.list_folder(f"{folder}/{ALIASES}/")
    names = (entry.key.rpartition("/")[2] for entry in entries)
    return [name[:-5] for name in names if name.endswith(".json") and is_alias(name[:-5])]


def _decode(data: bytes, where: str) -> PointerDocument:
    try:
        document = json.loads(data)
        known = isinstance(document, dict) and set(document) <= _NAMES
        fault = first_violation(document, "pointer") if known else "pointer"
    except (ValueError, RecursionError):
        fault = "pointer"
    if fault:
        message = f"{where} is no pointer to a version of a flow: there is no readable {fault} in it"
        raise BundleCorrupt(message, hint="Look who wrote it; runner sign and runner promote make it anew.")
    return cast("PointerDocument", document)


def _check_signature(document: PointerDocument, pointer: Pointer, where: str, settings: Settings) -> None:
    from runner.signing import signatures

    try:
        signatures.check_document(settings.trusted_keys, pointer.purpose, document, where)
    except Untrusted as error:
        raise Untrusted(error.message, hint=f"Look who wrote it; {pointer.remedy} makes it anew.") from error


def _check_place(document: PointerDocument, pointer: Pointer, where: str, scheme: str) -> None:
    """Refuse a true pointer of another flow, of another prefix, or of another alias."""
    place, folder = document["place"], pointer.folder
    if scheme == LOCAL.scheme:  # a folder may be a copy of a bucket, or mounted anywhere: its own name is all there is
        place, folder = place.rpartition("/")[2], folder.rpartition("/")[2]
    if place != folder or (document["alias"] or "") != pointer.alias:
        said = f"the alias {document['alias']!r}" if document["alias"] else "the newest version"
        message = f"{where} is the pointer to {said} of {document['place']!r}"
        raise Untrusted(message, hint=f"Somebody put it there: look who. {pointer.remedy} makes it anew.")


def _check_age(document: PointerDocument, pointer: Pointer, where: str, max_age: float) -> None:
    age = (datetime.now(UTC) - datetime.fromisoformat(document["made"])).total_seconds()
    if abs(age) > max_age:
        told = f"{age:.0f} s ago" if age > 0 else f"{-age:.0f} s from now, by the clock of this machine"
        message = f"{where} was made {told}, and RUNNER_MAX_AGE is {max_age:g}"
        raise Untrusted(message, hint=f"{pointer.remedy} makes it anew; look first whether a newer one was put away.")
