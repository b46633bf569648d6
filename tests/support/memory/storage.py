"""Objects in this process's memory: all that a backend has to do, and nothing else."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.backends.base import Entry, Storage
from runner.backends.errors import make_error
from runner.backends.pieces import CHUNK, Writer
from runner.errors import AlreadyExists, BucketMissing, NotFound
from support.memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.secrets.named import Credentials

    Objects = dict[str, tuple[bytes, float]]  # by key: the bytes, and when they were stored

BUCKETS: dict[str, Objects] = {}
LOCK = threading.Lock()


def open_memory(
    bucket: str, _credentials: Credentials, _environ: Mapping[str, str], patience: float | None = None
) -> MemoryStorage:
    """Open a bucket; whether there is one is seen with the first request, as in a cloud."""
    return MemoryStorage(MEMORY.scheme, bucket, patience=patience)


class MemoryStorage(Storage):
    """See `Storage`. An object is replaced as a whole under the lock, so a reader has the old or the new one."""

    def _objects(self, what: str, key: str) -> Objects:
        if self.container not in BUCKETS:
            raise make_error(BucketMissing, self, what, key)
        return BUCKETS[self.container]

    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        objects = self._objects("read", key)
        if not (found := objects.get(key)):
            raise make_error(NotFound, self, "read", key)
        data, _ = found
        self.check_size(key, len(data), limit)
        end = len(data) if length is None else min(len(data), offset + length)
        for start in range(offset, end, CHUNK):
            yield data[start : min(start + CHUNK, end)]

    def _create(self, key: str, data: bytes) -> None:
        with LOCK:
            objects = self._objects("write", key)
            if key in objects:
                raise make_error(AlreadyExists, self, "write", key)
            objects[key] = data, time.time()

    def _replace(self, key: str, data: bytes, media_type: str = "") -> None:  # noqa: ARG002 - memory has none
        with LOCK:
            self._objects("write", key)[key] = data, time.time()

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        parts: list[bytes] = []
        yield Writer(lambda part: parts.append(bytes(part)))
        self._replace(key, b"".join(parts))

    def _delete(self, key: str) -> None:
        with LOCK:
            self._objects("delete", key).pop(key, None)

    def _entries(self, prefix: str) -> list[Entry]:
        with LOCK:
            objects = self._objects("list", prefix).items()
            return [Entry(key, len(data), stored) for key, (data, stored) in objects if key.startswith(prefix)]

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        return iter([entry for entry in self._entries(prefix) if not entry.key.endswith("/")])

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        names = {entry.key: entry.key.removeprefix(prefix) for entry in self._entries(prefix)}
        folders = {name.partition("/")[0] for name in names.values() if "/" in name}
        here = [entry for entry in self._list_recursive(prefix) if "/" not in entry.key.removeprefix(prefix)]
        return sorted(folders), sorted(here, key=lambda entry: entry.key)
