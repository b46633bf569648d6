"""Removing what a plan says, in an order in which nobody is told a lie, nor runs a run a second time.

Of a run its ``run.json`` goes first: without it no other run can begin to take its results, no agent launches it, and
a removal that died is known by that. Whoever began to take its results before is seen after that, and then it is put
back. The outcome goes last: as long as it is there, whoever starts the run is told that it is over. A run that is not
over is cancelled first, and so no start goes on with it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from runner.backends.background import side_by_side
from runner.bundle.flow_folder import look_into
from runner.errors import AlreadyExists, RunHeld, RunnerError
from runner.pruning.needs import Users, reuse_closure
from runner.pruning.plan import needed_versions
from runner.pruning.survey import WHY, is_run_id, references, refers, run_objects
from runner.runs.cancelling import conclude_run
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runner.pruning.plan import Item, Place, Plan

BATCH = 32  # runs between two looks at who refers to them
VERSIONS = 200  # that are removed between two looks


class Result(NamedTuple):
    """What has become of an item: removed, or kept for a reason, or not removed for an error."""

    item: Item
    kept: str = ""
    error: RunnerError | None = None


class _Closed(NamedTuple):
    """A run whose ``run.json`` is gone, with the bytes of it; None where there was none any more."""

    item: Item
    request: bytes | None


def remove(place: Place, plan: Plan) -> Iterator[Result]:
    """Remove what goes of a flow, and yield what has become of each item. Raises what listings raise."""
    return _Removal(place, plan).results()


class _Removal:
    def __init__(self, place: Place, plan: Plan) -> None:
        self._place, self._plan, self._storage = place, plan, place.storage
        self._left = {run_id: refers(run) for run_id, run in plan.runs.items()}
        self._staying = set[str]()  # runs that have begun since, or do not go as was planned
        self._known = {run_id for run_id, run in plan.runs.items() if run.version}

    def results(self) -> Iterator[Result]:
        """See `remove`."""
        by_kind = {kind: [item for item in self._plan.going if item.kind == kind] for kind in ("run", "version")}
        runs = self._users_first(by_kind["run"])
        for batch in _batches(runs, BATCH):
            for result in self._remove_runs(batch):
                if result.kept or result.error:
                    self._staying.add(result.item.name)
                else:
                    self._left.pop(result.item.name)
                yield result
        for batch in _batches(by_kind["version"], VERSIONS):
            yield from self._remove_versions(batch)
        for item in self._plan.going:
            if item.kind == "left over":
                yield _tried(item, partial(self._storage.delete, item.key))

    def _users_first(self, items: list[Item]) -> list[Item]:
        """Return the runs in an order in which each goes before those whose results it takes."""
        reuse = {run_id: run.reuse for run_id, run in self._plan.runs.items()}
        depths = {item.name: len(reuse_closure([item.name], reuse)) for item in items}
        return sorted(items, key=lambda item: -depths[item.name])

    def _remove_runs(self, items: Sequence[Item]) -> list[Result]:
        agents = Users(self._storage, self._place.home)  # since it was planned somebody may have been asked, for long
        needs = {item: agents.need(self._plan.runs[item.name]) for item in items}
        results = [Result(item, need) for item, need in needs.items() if need]
        done = side_by_side(self._close_or_tell, [item for item, need in needs.items() if not need])
        closed = [one for one in done if isinstance(one, _Closed)]
        results += [one for one in done if isinstance(one, Result)]
        self._staying |= {one.item.name for one in results if one.kept or one.error}
        needed = self._needed_since()
        users = {one: needed.get(one.item.name) or needed.get("?") for one in closed}
        results += [
            self._put_back(one, f"run {user}, which stays, takes its results") for one, user in users.items() if user
        ]
        going = [one.item for one, user in users.items() if not user]
        try:
            return results + self._empty(going)
        except RunnerError:  # then each by itself, so that one that is locked keeps no other
            return results + [self._empty_or_tell(item) for item in going]

    def _close_or_tell(self, item: Item) -> _Closed | Result:
        try:
            return self._close(item)
        except RunnerError as error:
            return Result(item, error=error)

    def _close(self, item: Item) -> _Closed | Result:
        """See that nothing was written since, and that the run is over; then remove its ``run.json``."""
        run, store = self._plan.runs[item.name], self._store(item)
        now = run_objects(self._storage, self._place.home, f"{item.name}/").get(item.name)
        if now is None or not now.number:  # somebody else has removed it
            return Result(item._replace(objects=0, size=0))
        if now.modified > run.objects.modified:
            return Result(item, "it was written to just now")
        data = self._storage.read_or_none(store.layout.run)
        if data is None and run.version:
            return Result(item, "somebody else removes it just now")
        if not run.is_over:
            settings, request = self._place.settings, store.read_request()
            if request:
                store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)
            try:
                conclude_run(store, WHY, interval=settings.heartbeat)
            except RunHeld:
                return Result(item, "an attempt of it lives")
        elif data and store.read_outcome() is None:
            status = run_status(store)  # whoever wrote the end that concludes it died before it wrote the outcome
            if status.end:
                store.create_outcome(status.end)
        self._storage.delete(store.layout.run)
        return _Closed(item, data)

    def _needed_since(self) -> dict[str, str]:
        """Return the runs that are needed by others which have begun since this was planned; ``?``: perhaps all."""
        names, _ = self._storage.list_folder(f"{self._place.home}/runs/".lstrip("/"))
        new = [name for name in names if is_run_id(name) and name not in self._known]
        found = references(self._storage, self._place.home, new)
        self._left |= found
        self._known |= found.keys()
        self._staying |= found.keys()
        return self._sources(self._staying)

    def _sources(self, run_ids: Iterable[str]) -> dict[str, str]:
        return reuse_closure(run_ids, {run_id: refers.reuse for run_id, refers in self._left.items()})

    def _put_back(self, closed: _Closed, reason: str) -> Result:
        def create() -> None:
            if closed.request is not None:
                with suppress(AlreadyExists):  # somebody has asked for the same
                    self._storage.create(self._store(closed.item).layout.run, closed.request)

        return _tried(closed.item, create)._replace(kept=reason)

    def _empty_or_tell(self, item: Item) -> Result:
        try:
            return self._empty([item])[0]
        except RunnerError as error:
            return Result(item, error=error)

    def _empty(self, items: Sequence[Item]) -> list[Result]:
        """Remove what is runner's in the folders of runs, the outcomes after all else.

        One that has a ``run.json`` again is left as it is: somebody has asked for it, or another prune put it back.
        """
        stores = {item: self._store(item) for item in items}
        listed = side_by_side(
            lambda store: list(self._storage.list_recursive(f"{store.layout.prefix}/")), stores.values()
        )
        found = {item: [entry.key for entry in entries] for item, entries in zip(items, listed, strict=True)}
        back = {item.name for item, keys in found.items() if stores[item].layout.run in keys}
        back |= self._sources(back).keys()
        going = [item for item in items if item.name not in back]
        outcomes = [stores[item].layout.outcome for item in going]
        keys = {key for item in going for key in found[item] if stores[item].layout.has(key)}
        self._storage.delete_all(sorted(keys - {*outcomes}))
        self._storage.delete_all(outcomes)
        for item in going:
            self._storage.sweep(f"{stores[item].layout.prefix}/")
        asked = "somebody has just asked for it, or for what takes its results"
        return [Result(item, asked if item.name in back else "") for item in items]

    def _keys(self, store: RunStore) -> list[str]:
        return [entry.key for entry in self._storage.list_recursive(f"{store.layout.prefix}/")]

    def _remove_versions(self, items: Sequence[Item]) -> list[Result]:
        """Look once more whether something names them, and remove them."""
        self._needed_since()
        folder = look_into(self._storage, self._place.home)
        needs = needed_versions(self._place, self._left, [item.name for item in items])
        newest = folder.versions[-1].key if folder.versions else ""
        kept = {
            item: "it is the newest now" if item.key == newest else needs.get(item.name) or needs.get("?", "")
            for item in items
        }
        going = [item for item in items if not kept[item]]
        results = [Result(item, reason) for item, reason in kept.items() if reason]
        try:
            self._storage.delete_all([item.key for item in going])
        except RunnerError:
            return results + [_tried(item, partial(self._storage.delete, item.key)) for item in going]
        return results + [Result(item) for item in going]

    def _store(self, item: Item) -> RunStore:
        return RunStore(self._storage, RunLayout(self._place.home, item.name))


def _tried(item: Item, action: Callable[[], None]) -> Result:
    try:
        action()
    except RunnerError as error:
        return Result(item, error=error)
    return Result(item)


def _batches(items: list[Item], size: int) -> Iterator[list[Item]]:
    return (items[at : at + size] for at in range(0, len(items), size))
