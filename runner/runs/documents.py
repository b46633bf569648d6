"""Documents of a run as they are stored: one line of JSON, created once and checked when read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.errors import BundleCorrupt, Denied, NotFound, WriteFailed

if TYPE_CHECKING:
    from runner.backends.base import Storage


def create_document(storage: Storage, key: str, document: dict[str, Any]) -> None:
    """Store a document under a key that nobody may have taken. Raises what `Storage.create` raises, and WriteFailed."""
    try:
        storage.create(key, encode(document))
    except Denied as error:
        refusal = WriteFailed(f"the run cannot be written down: {error.message}", hint=error.hint)
        refusal.transient = False
        raise refusal from error


def read_document(storage: Storage, key: str) -> dict[str, Any] | None:
    """Give a document, or None if there is none. Raises BundleCorrupt and what the storage raises."""
    try:
        data = storage.read(key)
    except NotFound:
        return None
    try:
        return decode(data, kind_of(key))
    except ValueError as error:
        message = f"{storage.url(key)} cannot be read: {error}"
        raise BundleCorrupt(message, hint="Use another run id, or a newer version of runner.") from error


FORMAT = 1


def kind_of(key: str) -> str | None:
    """Name the kind of document that lies under a key; an outcome is an end."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return {"outcome": "end"}.get(name, name) if name in {"run", "claim", "end", "outcome"} else None


def encode(document: dict[str, Any]) -> bytes:
    """Give a document's bytes: one line of JSON in UTF-8."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file that is no UTF-8
        return json.dumps(document, allow_nan=False).encode() + b"\n"


def decode(data: bytes, kind: str | None = None) -> dict[str, Any]:
    """Read a document; ``kind`` is ``run``, ``claim`` or ``end``, an outcome being one, where that is known.

    Raises ValueError if it is none that this version knows.
    """
    try:
        document = json.loads(data)
    except RecursionError as error:
        message = "a document that is nested deeper than any of runner's"
        raise ValueError(message) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        message = "not a document of this version of runner"
        raise ValueError(message)
    from runner.schema import first_violation

    if fault := first_violation(document, kind):
        message = f"a document whose {fault} is not as runner writes it"
        raise ValueError(message)
    return document
