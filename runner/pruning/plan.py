"""Which runs and versions of a flow go by the rules, and which of these something still needs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.bundle.flow_folder import look_into
from runner.pruning.needs import Users, pointed_at, reuse_closure, run_by, run_elsewhere
from runner.pruning.survey import began, refers, survey_runs
from runner.runs.status import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from runner.backends.base import Storage
    from runner.bundle.flow_folder import FlowFolder
    from runner.pruning.needs import Elsewhere
    from runner.pruning.survey import Believe, FoundRun, References
    from runner.settings import Settings

LEFT_SECONDS = 86400.0  # after which a file that a writer has left is no living one's


class Rules(NamedTuple):
    """What may go.

    Args:
        keep: so many of the newest stay, of each flow's runs and versions; None: age alone decides.
        before: only what was over, or built, before this time goes, as `naming.now` has it; empty: at any.
        states: of runs only those in these states; without any, those that are concluded.
        runs: whether runs go.
        versions: whether versions go.
    """

    keep: int | None
    before: str
    states: frozenset[str] = frozenset()
    runs: bool = True
    versions: bool = True


class Item(NamedTuple):
    """A run, a version or a file that goes or stays, and why.

    ``key`` is that of its object, or of the run's folder; ``objects`` and ``size``, in bytes, are what is freed.
    """

    kind: Literal["run", "version", "left over"]
    key: str
    reason: str
    objects: int
    size: int

    @property
    def name(self) -> str:
        """The run's id, or the version."""
        return self.key.rpartition("/")[2]


class Plan(NamedTuple):
    """What goes of a flow, and what the rules would have go, and something needs; ``runs`` are all, by their ids."""

    home: str
    going: list[Item]
    kept: list[Item]
    runs: Mapping[str, FoundRun]


class Place(NamedTuple):
    """A flow's folder in its storage, with who is believed there, and where its runs may lie as well."""

    storage: Storage
    home: str
    settings: Settings
    believe: Believe
    elsewhere: Elsewhere | None = None


def plan_flow(place: Place, rules: Rules) -> Plan:
    """Return what goes of a flow; nothing is changed. Raises what the storage raises where nothing can be listed."""
    folder = look_into(place.storage, place.home)
    runs = {run.run_id: run for run in survey_runs(place.storage, place.home, place.believe)}
    going, kept = _plan_runs(place, runs, rules)
    left = [run for run in runs.values() if run.run_id not in going]
    items = [_run_item(place, runs[run_id], reason) for run_id, reason in going.items()]
    stay = [_run_item(place, runs[run_id], reason)._replace(reason=reason) for run_id, reason in kept.items()]
    for item, reason in _plan_versions(place, folder, left, rules):
        (stay if reason else items).append(item._replace(reason=reason or item.reason))
    return Plan(place.home, items + _left_over(place), stay, runs)


def _run_item(place: Place, run: FoundRun, reason: str) -> Item:
    key = f"{place.home}/runs/{run.run_id}".lstrip("/")
    others = f"; in its folder {run.objects.foreign:,} stay that are not runner's" if run.objects.foreign else ""
    return Item("run", key, reason + others, run.objects.number, run.objects.size)


def _plan_runs(place: Place, runs: Mapping[str, FoundRun], rules: Rules) -> tuple[dict[str, str], dict[str, str]]:
    """Return which runs go, and which stay though they are old enough, each with the reason."""
    if not rules.runs:
        return {}, {}
    due, kept = _due_runs(runs, rules)
    users = Users(place.storage, place.home)
    for run_id in list(due):
        if need := users.need(runs[run_id]):
            del due[run_id]
            kept[run_id] = need
    staying = [run_id for run_id in runs if run_id not in due]
    for run_id, user in reuse_closure(staying, {run.run_id: run.reuse for run in runs.values()}).items():
        if due.pop(run_id, None):
            kept[run_id] = f"run {user} takes its results"
    if due and (unknown := next((run for run in runs.values() if run.unknown), None)):
        kept |= dict.fromkeys(due, f"run {unknown.run_id} may take its results: {unknown.unknown}")
        due = {}
    return due, kept


def _due_runs(runs: Mapping[str, FoundRun], rules: Rules) -> tuple[dict[str, str], dict[str, str]]:
    """Return which runs go by the rules, and which would if they were over, each with the reason."""
    newest = sorted(runs.values(), key=lambda run: (began(run), run.run_id), reverse=True)
    chosen = [run for run in newest if _is_chosen(run, rules)]
    enough = {run.run_id for run in chosen[: rules.keep or 0]}
    horizon = began(chosen[rules.keep - 1]) if rules.keep and len(chosen) >= rules.keep else ""
    due, kept = dict[str, str](), dict[str, str]()
    for run in newest:
        is_new = bool(rules.before) and run.ended >= rules.before
        if run.is_begun:
            due[run.run_id] = "its removal was begun"
        elif run.problem:
            kept[run.run_id] = f"nobody knows what it is: {run.problem}"
        elif is_new or run.run_id in enough:
            continue
        elif _is_chosen(run, rules):
            due[run.run_id] = f"{run.state}, ended {_ago(run.ended)}{_beyond(rules)}"
        elif not rules.states and (not rules.keep or began(run) < horizon):
            kept[run.run_id] = _not_over(run)
    return due, kept


def _is_chosen(run: FoundRun, rules: Rules) -> bool:
    return not run.is_begun and (run.state in rules.states if rules.states else run.is_over)


def _not_over(run: FoundRun) -> str:
    if run.state in {"running", "stalled"}:
        return f"it is {run.state}"
    state = run.state.replace(" ", "-").replace("_", "-")
    return f"{run.state}, and not over: another start may go on with it; --states {state} has it go"


def _plan_versions(place: Place, folder: FlowFolder, left: list[FoundRun], rules: Rules) -> list[tuple[Item, str]]:
    """Return the versions that go by the rules, each with why it stays all the same; empty for one that goes."""
    if not rules.versions:
        return []
    items = []
    for entry in folder.versions[::-1][rules.keep or 1 :]:  # the newest is what a flow's location runs
        built = naming.time_of_version(entry.key.rpartition("/")[2])
        if built and not (rules.before and built >= rules.before):
            reason = f"built {_ago(built)}{_beyond(rules)}, and nothing names it"
            items.append(Item("version", entry.key, reason, 1, entry.size))
    needs = needed_versions(place, {run.run_id: refers(run) for run in left}, [item.name for item in items])
    return [(item, needs.get(item.name) or needs.get("?", "")) for item in items]


def needed_versions(place: Place, runs: Mapping[str, References], wanted: list[str]) -> dict[str, str]:
    """Return which versions something names, and what; ``?`` for all, where that cannot be read.

    Args:
        place: of the flow.
        runs: those that stay, with what they refer to.
        wanted: the versions that it is asked for; nothing is read without any.
    """
    if not wanted:
        return {}
    return run_elsewhere(place.elsewhere) | run_by(runs) | pointed_at(place.storage, place.home, place.settings)


def _left_over(place: Place) -> list[Item]:
    entries = place.storage.left_over(f"{place.home}/".lstrip("/"))
    return [
        Item("left over", entry.key, f"a writer that died left it {_since(entry.modified)}", 1, entry.size)
        for entry in entries
        if time.time() - entry.modified > LEFT_SECONDS
    ]


def _ago(moment: str) -> str:
    return _since(datetime.fromisoformat(moment).timestamp())


def _since(seconds: float) -> str:
    return f"{duration_text(max(0.0, datetime.now(UTC).timestamp() - seconds))} ago"


def _beyond(rules: Rules) -> str:
    return f", beyond the newest {rules.keep}" if rules.keep else ""
