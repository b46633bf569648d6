"""An object's bytes, piece by piece."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 8 * 1024 * 1024  # bytes moved at a time, and the size of an upload's part: 10,000 parts of S3 make 80 GB


class Writer:
    """Writes an object's bytes in order (see `Storage.writer`), in pieces of at most `CHUNK`.

    So a large buffer is never copied as a whole.

    Args:
        put: stores, or sends, one piece.
    """

    def __init__(self, put: Callable[[memoryview], object]) -> None:
        self._put = put

    def write(self, data: memoryview | bytes) -> None:
        """Write the next bytes."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), CHUNK):
            self._put(view[start : start + CHUNK])


def joined(chunks: Iterator[bytes]) -> bytes:
    """Return all of them as one, in memory for one alone: a buffer's own bytes are not copied when they are taken."""
    first = next(chunks, b"")
    if (second := next(chunks, None)) is None:
        return first
    whole = io.BytesIO()
    whole.write(first)
    del first
    while second is not None:
        whole.write(second)
        second = next(chunks, None)
    return whole.getvalue()
