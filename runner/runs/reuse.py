"""What earlier attempts made durable, so that it need not be made again."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from runner import logs
from runner.backends.base import CHUNK
from runner.errors import BundleCorrupt, Incompatible, NotFound, Untrusted
from runner.runs import claims
from runner.runs.layout import RunLayout
from runner.runs.stored_results import check_result_signature, list_results
from runner.runs.trailer import copy_verified
from runner.serialization import pickling
from runner.signing.run_signatures import request_digest
from runner.tracebacks import type_name

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runner.backends.base import Storage
    from runner.model.flow import FlowGraph
    from runner.runs.stored_results import Key

    Where = tuple[str, RunLayout, int]

log = logs.logger("resume")


class ReusableResults:
    """Results by task and element; see `ResultCache`. None is used before it was read and is whole."""

    def __init__(self, storage: Storage, keys: dict[Key, Where]) -> None:
        """Take the objects' keys, the runs that they are of, and how many runs that is before this one, negative."""
        self._storage, self._keys = storage, keys
        self._whole: dict[Key, bool] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._keys)

    def has(self, slug: str, index: int | None) -> bool:
        """See `runner.engine.scheduler.ResultCache.has`."""
        return (slug, index) in self._keys

    def is_whole(self, slug: str, index: int | None) -> bool:
        """See `runner.engine.scheduler.ResultCache.is_whole`. Raises what the storage raises but NotFound."""
        if (slug, index) not in self._whole:
            self._whole[slug, index] = self.has(slug, index) and self.load(slug, index, wanted=False) is not None
        return self._whole[slug, index]

    def version(self, slug: str, index: int | None) -> tuple[int, int]:
        """See `runner.engine.scheduler.ResultCache.version`: the runs that repeat one another, and the attempt."""
        key, _, run = self._keys[slug, index]
        return run, int(key.rpartition("/attempts/")[2].partition("/")[0])

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[dict[str, Any], Any] | None:
        """See `ResultCache.load`; of what was not unpickled the type is not known. Raises as `is_whole`."""
        try:
            return self._load(slug, index, SpooledTemporaryFile(max_size=CHUNK) if wanted else BytesIO(), wanted=wanted)
        except OSError:  # no room on disk; in memory it must find some in any case
            return self._load(slug, index, BytesIO(), wanted=wanted)

    def _load(
        self, slug: str, index: int | None, spool: AbstractContextManager[Any], *, wanted: bool
    ) -> tuple[dict[str, Any], Any] | None:
        key, folder, _ = self._keys[slug, index]
        try:
            with spool as file:
                found = copy_verified(self._storage.stream(key), file if wanted else None)
                if found is None:
                    message = "it is not what was stored"
                    raise BundleCorrupt(message)  # noqa: TRY301 - told below, with all else that makes it useless
                if folder.seal:
                    check_result_signature(self._storage, folder, (slug, index), key, *found)
                file.seek(0)
                value = pickling.load_result(file) if wanted else None
        except (BundleCorrupt, Incompatible, NotFound, Untrusted) as error:
            log.warning("the result %s cannot be used, so its task runs again: %s", self._storage.url(key), error)
            return None
        size, sha256 = found
        return {"key": key, "size": size, "sha256": sha256, "type": type_name(type(value)) if wanted else None}, value


def reusable_results(storage: Storage, folder: RunLayout, flow: FlowGraph) -> ReusableResults:
    """Find the results of a run's attempts, and of the run that it was begun to repeat."""
    return ReusableResults(storage, _keys(storage, folder, flow))


def _keys(storage: Storage, folder: RunLayout, flow: FlowGraph, run: int = 0) -> dict[Key, Where]:
    found: dict[Key, Where] = {}
    if reuse := (claims.read_request(storage, folder) or {}).get("reuse"):
        before = RunLayout(folder.home, reuse["run_id"])
        if folder.seal and (asked := claims.read_request(storage, before)):
            before = replace(before, seal=replace(folder.seal, asked=request_digest(asked)))
        again = slugs_from(flow, reuse["from"]) if reuse["from"] else set()
        found = {key: where for key, where in _keys(storage, before, flow, run - 1).items() if key[0] not in again}
    return found | {key: (entry.key, folder, run) for key, entry in list_results(storage, folder)}


def slugs_from(flow: FlowGraph, slug: str) -> set[str]:
    """Give a task and all that wait for it, by slug."""
    again = {slug}
    for node in flow.nodes:  # in the order in which they were written down, so what is waited for comes first
        if any(source.slug in again for source in node.upstream):
            again.add(node.slug)
    return again
