"""Results of earlier attempts, and of the run that one was begun to repeat, which need not be made again."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from runner import logs
from runner.backends.pieces import CHUNK
from runner.errors import BundleCorrupt, EnvironmentWrong, Incompatible, NotFound, Untrusted
from runner.model.task import Parameter, references
from runner.naming import slug_meant
from runner.runs.claims import same_json
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.runs.stored_results import check_result_signature, list_results
from runner.runs.trailer import copy_verified
from runner.serialization import pickling
from runner.signing.run_signatures import run_signer
from runner.tracebacks import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from runner.model.flow import FlowGraph
    from runner.model.task import Node
    from runner.runs.stored_results import Key
    from runner.schema.documents import ResultRecord, RunRequest

log = logs.logger("resume")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A result's object and its size, the run that it is of, and how many runs before this one that is, negative."""

    key: str
    size: int
    store: RunStore
    run: int

    @property
    def attempt(self) -> int:
        return int(self.key.rpartition("/attempts/")[2].partition("/")[0])


class ReusableResults:
    """Results by task and element; see `ResultCache`. None is used before it was read and is whole."""

    def __init__(self, stored: dict[Key, _Stored]) -> None:
        self._stored = stored
        self._whole: dict[Key, bool] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._stored)

    def has(self, slug: str, index: int | None) -> bool:
        """See `ResultCache.has`."""
        return (slug, index) in self._stored

    def is_whole(self, slug: str, index: int | None) -> bool:
        """See `ResultCache.is_whole`. Raises what the storage raises but NotFound."""
        if (slug, index) not in self._whole:
            self._whole[slug, index] = self.has(slug, index) and self.load(slug, index, wanted=False) is not None
        return self._whole[slug, index]

    def version(self, slug: str, index: int | None) -> tuple[int, int]:
        """See `ResultCache.version`: the runs that repeat one another, and the attempt."""
        stored = self._stored[slug, index]
        return stored.run, stored.attempt

    def load(self, slug: str, index: int | None, *, wanted: bool) -> tuple[ResultRecord, Any] | None:
        """See `ResultCache.load`; of what was not unpickled the type is not known. Raises as `is_whole`."""
        try:
            return self._load(slug, index, SpooledTemporaryFile(max_size=CHUNK) if wanted else BytesIO(), wanted=wanted)
        except OSError:  # no room on disk; in memory it must find some in any case
            return self._load(slug, index, BytesIO(), wanted=wanted)

    def _load(
        self, slug: str, index: int | None, spool: AbstractContextManager[Any], *, wanted: bool
    ) -> tuple[ResultRecord, Any] | None:
        stored = self._stored[slug, index]
        key, store = stored.key, stored.store
        try:
            with spool as file:
                found = copy_verified(store.storage.stream(key, limit=stored.size), file if wanted else None)
                if found is None:
                    message = "it is not what was stored"
                    raise BundleCorrupt(message)  # noqa: TRY301 - logged below, with all else that makes it useless
                check_result_signature(store, (slug, index), key, *found)
                file.seek(0)
                value = pickling.load_result(file) if wanted else None
        except (BundleCorrupt, Incompatible, NotFound, Untrusted) as error:
            log.warning("the result %s cannot be used, so its task runs again: %s", store.storage.url(key), error)
            return None
        size, sha256 = found
        return {"key": key, "size": size, "sha256": sha256, "type": type_name(type(value)) if wanted else None}, value


def reusable_results(store: RunStore, flow: FlowGraph, request: RunRequest) -> ReusableResults:
    """Find the results of a run's attempts, and of the runs that it was begun to repeat, as this start asks for it.

    Of what a run was given other parameters for, nothing is taken. Raises EnvironmentWrong, or Untrusted with trusted
    keys, for a run that is none of this bundle.
    """
    found: dict[Key, _Stored] = {}
    again = set(flow.varying)
    seen = {store.run_id}
    number, asked = 0, request
    while True:
        for key, entry in list_results(store):
            if key[0] not in again and (key not in found or found[key].run == number):
                found[key] = _Stored(entry.key, entry.size, store, number)
        reuse = asked.get("reuse")
        if not reuse or reuse["run_id"] in seen:  # whoever repeats itself has no more to give
            return ReusableResults(found)
        seen.add(reuse["run_id"])
        again |= slugs_from(flow, reuse["from"]) if reuse["from"] else set()
        number -= 1
        store, asked = _repeated(store, reuse["run_id"], request)
        again |= _slugs_of_other_parameters(flow, asked["parameters"], request["parameters"])


def _repeated(store: RunStore, run_id: str, request: RunRequest) -> tuple[RunStore, RunRequest]:
    """Return the run beside this one that is to be repeated, and what it was asked for: the same bundle."""
    before = RunStore(store.storage, RunLayout(store.layout.home, run_id))
    asked = before.read_request()
    if asked is None:
        message = f"there is no {before.url}, whose results are to be taken"
        raise EnvironmentWrong(message, hint="Run the flow again: runner run.")
    if asked["bundle"]["sha256"] != request["bundle"]["sha256"]:
        message = f"{before.url}, whose results are to be taken, is a run of another bundle"
        kind = Untrusted if store.demands_signatures else EnvironmentWrong
        raise kind(message, hint="Run the flow again: runner run.")
    if store.signer:  # its results are bound to its own request
        before.signer = run_signer(store.signer.signing_key, store.signer.trusted_keys, asked)
    if store.demands_signatures:  # only a signed end proves what it was asked for
        end = run_status(before).end
        if end is None:
            message = f"{before.url}, whose results are to be taken, has no end that could be signed"
            raise Untrusted(message, hint="Run the flow again: runner run.")
        before.check_end(end)
    return before, asked


def _slugs_of_other_parameters(flow: FlowGraph, before: Mapping[str, Any], given: Mapping[str, Any]) -> set[str]:
    """Return the tasks that were given something else before, and all that wait for them, by slug."""
    again: set[str] = set()
    for name in before.keys() | given.keys():
        if name in before and name in given and same_json(before[name], given[name]):
            continue
        taking = [node.slug for node in flow.nodes if _takes(node, name)]
        if not taking:  # then nothing tells what depends on it
            return {node.slug for node in flow.nodes}
        again = again.union(*(slugs_from(flow, slug) for slug in taking))
    return again


def _takes(node: Node, parameter: str) -> bool:
    found = references((node.args, node.kwargs))
    return any(isinstance(part, Parameter) and part.name == parameter for part in found)


def slugs_from(flow: FlowGraph, slug: str) -> set[str]:
    """Return a task, also one that is called by its name, and all that wait for it, by slug."""
    again = {slug_meant(slug, {node.slug: node.name for node in flow.nodes})}
    for node in flow.nodes:  # in the order in which they were written down, so what is waited for comes first
        if any(source.slug in again for source in node.upstream):
            again.add(node.slug)
    return again
