"""Documents of the queue and of agents, read and written; what a stranger put there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import AlreadyExists, BundleCorrupt
from runner.limits import limit_of
from runner.runs.documents import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.backends.base import Storage
    from runner.runs.documents import Kind


def read_document(storage: Storage, key: str, kind: Kind) -> Any:
    """Return a document, or None where there is none. Raises BundleCorrupt for what is none of its kind."""
    data = storage.read_or_none(key, limit=limit_of(kind))
    if data is None:
        return None
    try:
        return decode(data, kind)
    except ValueError as error:
        message = f"{storage.url(key)} cannot be read: {error}"
        raise BundleCorrupt(message, hint="Look who put it there, and remove it.") from error


def create_document(storage: Storage, key: str, document: Mapping[str, object]) -> bool:
    """Store a document if there is none of that key, and return whether there was none."""
    try:
        storage.create(key, encode(document))
    except AlreadyExists:
        return False
    return True
