"""The runs of a flow, as far as pruning must know them: state and age, what lies there, and what they refer to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.backends.background import side_by_side
from runner.errors import BundleCorrupt, Denied, NotFound, TooLarge, Untrusted, UsageError
from runner.runs.documents import concludes
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.settings import check_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runner.backends.base import Storage
    from runner.runs.status import RunStatus
    from runner.schema.documents import EndDocument, RunRequest

    Believe = Callable[[RunStore], RunStatus]

WHY = "runner prune removes it"  # for which a run is concluded that was not over
UNREADABLE = (BundleCorrupt, Denied, NotFound, TooLarge, Untrusted, UsageError)


class References(NamedTuple):
    """The version that a run is of, and the runs whose results it takes."""

    version: str
    reuse: tuple[str, ...]


UNKNOWN = References("?", ("?",))


@dataclass
class RunObjects:
    """What is runner's in a run's folder, as a listing tells: how many, their bytes, and when the last was stored.

    ``foreign`` counts the other objects. ``launches`` are the numbers of launches of which nobody has told the end.
    """

    number: int = 0
    size: int = 0
    modified: float = 0.0
    foreign: int = 0
    launches: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class FoundRun:
    """A run.

    Args:
        run_id: its id.
        objects: what lies in its folder.
        state: as `run_status` has it; empty for one that cannot be read, or must not be believed.
        is_over: whether it is concluded, so that no start goes on with it.
        is_begun: whether somebody has begun to remove it: there is an outcome, and no ``run.json``, which is
            written first; or it was concluded to that end.
        began: when its last attempt began, else when it was asked for, as `naming.now` has it.
        ended: when that ended, else as ``began``.
        entry: the key of its entry in a queue, if it was submitted.
        version: the name of the bundle that it is of.
        reuse: the runs whose results it takes, if it repeats one.
        unknown: why nobody knows what it refers to; empty if that is known.
        problem: why its state is not known.
    """

    run_id: str
    objects: RunObjects
    state: str = ""
    is_over: bool = False
    is_begun: bool = False
    began: str = ""
    ended: str = ""
    entry: str = ""
    version: str = ""
    reuse: tuple[str, ...] = ()
    unknown: str = ""
    problem: str = ""


def run_objects(storage: Storage, home: str, under: str = "") -> dict[str, RunObjects]:
    """Return what lies in the folders of a flow's runs, by their ids, or of one: one listing."""
    prefix = f"{home}/runs/".lstrip("/")
    found: dict[str, RunObjects] = {}
    for entry in storage.list_recursive(f"{prefix}{under}"):
        run_id, slash, name = entry.key.removeprefix(prefix).partition("/")
        if not slash or not is_run_id(run_id):
            continue
        objects = found.setdefault(run_id, RunObjects())
        if not RunLayout(home, run_id).has(entry.key):
            objects.foreign += 1
            continue
        objects.number += 1
        objects.size += entry.size
        objects.modified = max(objects.modified, entry.modified)
        _count_launch(objects.launches, name)
    return found


def _count_launch(launches: set[str], name: str) -> None:
    """Take note of a launch, or of its end, which a listing may tell in either order."""
    folder, _, file = name.partition("/")
    number, _, kind = file.partition(".")
    if folder == "launches" and kind in {"json", "end.json"}:
        launches ^= {number}


def is_run_id(name: str) -> bool:
    """Return whether a folder in ``runs/`` is a run's; doctor and slots have others there."""
    try:
        check_run_id(name)
    except ValueError:
        return False
    return True


def survey_runs(storage: Storage, home: str, believe: Believe) -> list[FoundRun]:
    """Return a flow's runs, in the order of their ids; ``believe`` returns the status of one, or refuses to.

    What cannot be read, or must not be believed, is told as such. Raises what listings raise.
    """
    found = sorted((run_id, each) for run_id, each in run_objects(storage, home).items() if each.number)
    return side_by_side(
        lambda one: _look_at(RunStore(storage, RunLayout(home, one[0])), one[1], believe),
        found,
    )


def _look_at(store: RunStore, objects: RunObjects, believe: Believe) -> FoundRun:
    try:
        request = store.read_request()
    except UNREADABLE as error:
        return FoundRun(store.run_id, objects, unknown=error.message, problem=error.message)
    if request is None:
        return _look_at_rest(store, objects)
    entry, refers = request.get("entry", ""), _references(request)
    known = FoundRun(store.run_id, objects, entry=entry, version=refers.version, reuse=refers.reuse)
    try:
        status = believe(store)
    except UNREADABLE as error:
        return replace(known, problem=error.message)
    document = status.end or status.claim
    began = document["started"] if document else request["requested"]
    return replace(
        known,
        state=status.state,
        is_over=status.end is not None and concludes(status.end),
        is_begun=_is_begun(status),
        began=began,
        ended=status.end["ended"] if status.end else began,
        reuse=_sources(store.run_id, status.end, known.reuse),
    )


def _is_begun(status: RunStatus) -> bool:
    """Return whether somebody has claimed a run in order to remove it, and perhaps ended it."""
    if status.end:
        return "cancel" in status.end and status.end["cancel"]["why"] == WHY
    return status.claim is not None and status.claim["image"] == WHY


def _look_at_rest(store: RunStore, objects: RunObjects) -> FoundRun:
    """Return what a run is without its ``run.json``: one that is being removed, or nothing that is known."""
    try:
        outcome = store.read_outcome()
    except UNREADABLE as error:
        return FoundRun(store.run_id, objects, problem=error.message)
    if outcome is None:
        return FoundRun(store.run_id, objects, problem="there is neither a run.json nor an outcome")
    return FoundRun(
        store.run_id,
        objects,
        state=outcome["state"],
        is_over=True,
        is_begun=True,
        began=outcome["started"],
        ended=outcome["ended"],
        reuse=_sources(store.run_id, outcome),
    )


def _sources(run_id: str, end: EndDocument | None, named: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the runs whose results a run takes, as its ``run.json`` names them, or its end lists theirs."""
    results = [task["result"] for task in end["tasks"] if task["result"]] if end else []
    listed = {result["key"].rpartition("/attempts/")[0].rpartition("/")[2] for result in results}
    return tuple(sorted({*named, *listed} - {run_id, ""}))


def references(storage: Storage, home: str, run_ids: Iterable[str]) -> dict[str, References]:
    """Return what each of these runs refers to, by their ids; one without a ``run.json`` refers to nothing, yet."""

    def look(run_id: str) -> tuple[str, References | None]:
        try:
            request = RunStore(storage, RunLayout(home, run_id)).read_request()
        except UNREADABLE:
            return run_id, UNKNOWN
        return run_id, _references(request) if request else None

    return {run_id: found for run_id, found in side_by_side(look, run_ids) if found}


def _references(request: RunRequest) -> References:
    reuse = request.get("reuse")
    return References(request["bundle"]["url"].rpartition("/")[2], (reuse["run_id"],) if reuse else ())


def began(run: FoundRun) -> str:
    """Return when a run began, as far as it or its id tells."""
    return run.began or naming.time_of_run_id(run.run_id)


def refers(run: FoundRun) -> References:
    """Return what a run refers to."""
    return UNKNOWN if run.unknown else References(run.version, run.reuse)
