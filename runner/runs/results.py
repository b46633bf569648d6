"""One task's value ↔ storage, streamed, with a trailer by which a reader can verify it before it unpickles it.

A result is a plain pickle of protocol 5 and, after its last byte, where ``pickle.load`` does not look, the trailer that
`runner.runs.trailer` describes.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from runner.backends.pieces import CHUNK
from runner.errors import BundleCorrupt, RunnerError, TooLarge, WriteFailed
from runner.naming import label_of
from runner.runs.layout import SIGNATURE
from runner.runs.trailer import TRAILER, copy_verified, trailer
from runner.serialization import pickling
from runner.tracebacks import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from _typeshed import SupportsWrite

    from runner.backends.base import Storage
    from runner.backends.pieces import Writer
    from runner.model.task import Node
    from runner.runs.store import RunStore
    from runner.schema.documents import ResultRecord

SMALL = 1024 * 1024  # bytes: up to this a result is pickled in memory, and tasks after it need not wait for its upload


class Results:
    """Writes the results of one attempt."""

    def __init__(self, store: RunStore, attempt: int, varying: Collection[str] = ()) -> None:
        self._store, self._attempt, self._varying = store, attempt, varying

    def save(self, node: Node, index: int | None, value: Any) -> Callable[[], ResultRecord]:
        """Pickle a value; the callable that is returned stores it and returns its record.

        A large value is streamed now, so that nobody changes it while it is under way, and again from its beginning if
        its upload fails in a way that may pass. Raises TaskError when the value cannot be pickled, and WriteFailed.
        """
        store = self._store
        key = store.layout.result(self._attempt, node.slug, index, varying=node.slug in self._varying)

        def stream() -> tuple[_Spool, bytes, int]:
            with ExitStack() as stack:
                spool = _Spool(lambda: stack.enter_context(store.storage.writer(key)))
                pickling.dump_result(value, spool, label_of(node.slug, index))
                digest, size = spool.digest.digest(), spool.size
                spool.write(trailer(size, digest))
            return spool, digest, size

        with _as_write_failed():
            spool, digest, size = store.storage.persistently(stream)
        record: ResultRecord = {"key": key, "size": size, "sha256": digest.hex(), "type": type_name(type(value))}
        signer = store.signer
        signature = signer and signer.sign_result(store.run_id, node.slug, index, size, digest.hex())

        def finish() -> ResultRecord:
            with _as_write_failed():
                if signature:  # before the result, which then never lies there without it
                    store.storage.create(f"{key}{SIGNATURE}", signature)
                if spool.writer is None:
                    store.storage.create(key, bytes(spool.buffer))
            return record

        return finish


@contextmanager
def _as_write_failed() -> Iterator[None]:
    """Raise any failure of the storage as that of a result that could not be written."""
    try:
        yield
    except WriteFailed:
        raise
    except RunnerError as refusal:
        raise WriteFailed(f"a result could not be written: {refusal.message}", hint=refusal.hint) from refusal


class _Spool:
    """A file that keeps a small pickle in memory and streams a large one."""

    def __init__(self, open_writer: Callable[[], Writer]) -> None:
        self.buffer = bytearray()
        self.digest = hashlib.sha256()
        self.size = 0
        self.writer: Writer | None = None
        self._open_writer = open_writer

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        self.size += len(view)
        if self.writer is None and len(self.buffer) + len(view) > SMALL:
            self.writer = self._open_writer()
            self.writer.write(bytes(self.buffer))
            self.buffer.clear()
        if self.writer is None:
            self.buffer += view
        else:
            self.writer.write(view)
        return len(view)


def copy_result(storage: Storage, result: ResultRecord, target: SupportsWrite[bytes]) -> None:
    """Copy a result, trailer and all, into a file, and verify it: length, SHA-256, and that both are the outcome's.

    ``result`` is an outcome's; with ``offset`` and ``length`` it is a part of an object. What is larger than that is
    refused by its size, before it is read. Raises BundleCorrupt and what the storage raises.
    """
    whole = result["size"] + TRAILER.size
    if "offset" in result or "length" in result:  # other results may lie in the same object
        stored = storage.stream(result["key"], result.get("offset", 0), whole)
    else:
        stored = storage.stream(result["key"], limit=whole)
    try:
        found = copy_verified(stored, target)
    except TooLarge:
        found = None
    if found != (result["size"], result["sha256"]):
        message = f"the result {storage.url(result['key'])} is not the one that the outcome lists"
        raise BundleCorrupt(message, hint="It was changed or cut short after the run; run the flow again.")


def read_result(storage: Storage, result: ResultRecord) -> Any:
    """Return a task's value, verified before it is unpickled. Raises as `copy_result` and `load_result` do."""
    from tempfile import SpooledTemporaryFile

    try:
        return _read(storage, result, SpooledTemporaryFile(max_size=CHUNK))
    except OSError:  # no room on disk; in memory it must find some in any case
        return _read(storage, result, BytesIO())


def _read(storage: Storage, result: ResultRecord, spool: AbstractContextManager[Any]) -> Any:
    with spool as file:
        copy_result(storage, result, file)
        file.seek(0)
        return pickling.load_result(file)
