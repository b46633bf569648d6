"""Who still needs what lies in a flow's folder: agents and their queue, pointers, other runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from runner.agents.queue import Queue
from runner.agents.register import Register, marker_name
from runner.agents.slots import Slots
from runner.agents.submit import queue_root
from runner.bundle import pointers
from runner.bundle.pointers import Pointer
from runner.errors import BundleCorrupt, TooLarge, Untrusted
from runner.location import invalid_key
from runner.pruning.survey import is_run_id, references
from runner.runs.status import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.backends.base import Storage
    from runner.pruning.survey import FoundRun, References
    from runner.settings import Settings

SETTLED_SECONDS = 3600.0  # after the last object that was stored: whoever worked on a run writes nothing more by then
LAUNCH_SECONDS = 86400.0  # after it, whoever launched a run and has not told the end of that is taken for gone


class InUse(NamedTuple):
    """What agents below a root are about: the ids of the runs that wait, and the names of their markers."""

    waiting: set[str]
    markers: set[str]


class Elsewhere(NamedTuple):
    """Another place where runs of the same flow lie: RUNNER_RESULTS."""

    storage: Storage
    home: str


def in_use(storage: Storage, root: str) -> InUse:
    """Return what agents below a root are about: two listings."""
    folders = Register(storage, root).folders()
    markers = {name for names in folders.values() for name in names if name.startswith("runs/")}
    return InUse(Queue(storage, root).run_ids(), markers)


class Users:
    """The agents of the roots at which the runs of a flow wait, asked once each.

    Args:
        storage: of the flow.
        home: its folder.
    """

    def __init__(self, storage: Storage, home: str) -> None:
        self._storage, self._home = storage, home
        self._seen: dict[str, InUse] = {}
        self._owners: list[str] | None = None

    def need(self, run: FoundRun) -> str:
        """Return why a run is kept whatever its age; empty if nobody works with it. Raises what listings raise."""
        silence = time.time() - run.objects.modified
        if silence < SETTLED_SECONDS and not run.is_begun:
            return f"written to {duration_text(max(0.0, silence))} ago, so somebody may still work on it"
        if run.objects.launches and silence < LAUNCH_SECONDS:
            return "nobody has told the end of its launch yet"
        for root in self._roots(run):
            used = self._in_use(root)
            if run.run_id in used.waiting:
                return "it waits in the queue"
            if marker_name(self._home, run.run_id) in used.markers:
                return "an agent looks after it"
        if not run.is_over and run.run_id in self._slot_owners():
            return "it has one of the flow's slots"
        return ""

    def _roots(self, run: FoundRun) -> set[str]:
        """Return where a run waits, or would: an entry that anybody wrote into its ``run.json`` may be no key."""
        named = queue_root(run.entry) if run.entry and not invalid_key(run.entry) else None
        return {self._home.rpartition("/")[0], *([] if named is None else [named])}

    def _in_use(self, root: str) -> InUse:
        if root not in self._seen:
            self._seen[root] = in_use(self._storage, root)
        return self._seen[root]

    def _slot_owners(self) -> list[str]:
        if self._owners is None:
            self._owners = Slots.of_all(self._storage, self._home).owners()
        return self._owners


def reuse_closure(needed: Iterable[str], reuse: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the runs whose results are taken by some others, by their ids, and each with one that takes them.

    Args:
        needed: the runs that stay.
        reuse: of each run that repeats others, which these are; what those repeat is needed as well.

    Example:
        >>> from runner.pruning.needs import reuse_closure
        >>> reuse_closure(["c"], {"c": ["b"], "b": ["a"], "y": ["x"]})
        {'b': 'c', 'a': 'b'}
    """
    found, left = dict[str, str](), list(needed)
    while left:
        run_id = left.pop()
        for source in reuse.get(run_id, ()):
            if source not in found:
                found[source] = run_id
                left.append(source)
    return found


def pointed_at(storage: Storage, home: str, settings: Settings) -> dict[str, str]:
    """Return the versions that the flow's pointers name, and by what; ``?`` for a pointer that cannot be read.

    Whoever signed it: also one that is not trusted here may be what others run.
    """
    anybody = settings._replace(trusted_keys=(), max_age=None)
    found: dict[str, str] = {}
    if not home:  # a bucket's top is no flow's folder, and has no pointers
        return found
    for alias in ["", *pointers.aliases(storage, home)]:
        pointer = Pointer(home, alias)
        name = f"the alias {alias}" if alias else pointers.LATEST
        try:
            document = pointers.read(storage, pointer, anybody)
        except (BundleCorrupt, TooLarge, Untrusted) as error:
            found["?"] = f"{name} may name it: {error.message}"
            continue
        if document:
            found[document["version"]] = f"{name} names it"
    return found


def run_by(runs: Mapping[str, References]) -> dict[str, str]:
    """Return the versions that runs are of, each with one of these; ``?`` if one of them cannot be read."""
    return {
        version: f"run {run_id}{', which cannot be read, may be' if version == '?' else ' is'} of it"
        for run_id, (version, _) in runs.items()
    }


def run_elsewhere(place: Elsewhere | None) -> dict[str, str]:
    """Return the versions that runs elsewhere are of, as `run_by`; none where there is no such place."""
    if place is None:
        return {}
    names, _ = place.storage.list_folder(f"{place.home}/runs/".lstrip("/"))
    found = run_by(references(place.storage, place.home, filter(is_run_id, names)))
    return {version: f"{reason}, at {place.storage.url(place.home)}" for version, reason in found.items()}
