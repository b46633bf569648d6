"""The 44 bytes after a result's pickle by which a reader verifies it: magic ``RNR1``, length, SHA-256.

The length of the pickle is 8 bytes, big endian; the digest 32. See «A result» in ``docs/formats.md``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import SupportsWrite

MAGIC = b"RNR1"
TRAILER = struct.Struct(">4sQ32s")


def trailer(size: int, digest: bytes) -> bytes:
    """Return the trailer of a pickle of this size and SHA-256."""
    return TRAILER.pack(MAGIC, size, digest)


def read_trailer(data: bytes) -> tuple[int, str] | None:
    """Return size and SHA-256 of the pickle, or None if this is no trailer."""
    if len(data) != TRAILER.size:
        return None
    magic, size, digest = TRAILER.unpack(data)
    return (size, digest.hex()) if magic == MAGIC else None


def copy_verified(stored: Iterable[bytes], target: SupportsWrite[bytes] | None) -> tuple[int, str] | None:
    """Copy a result's bytes, and return size and SHA-256 of its pickle; None if they are not what its trailer says."""
    import hashlib  # 3 MB, of which the supervisor has no need

    digest, size, held = hashlib.sha256(), 0, b""
    for chunk in stored:
        if target is not None:
            target.write(chunk)
        held += chunk  # all but the last 44 bytes belongs to the pickle
        body, held = held[: -TRAILER.size], held[-TRAILER.size :]
        digest.update(body)
        size += len(body)
    return (size, digest.hexdigest()) if held == trailer(size, digest.digest()) else None
