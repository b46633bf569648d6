"""``runner prune``: remove old runs and versions that nothing needs any more."""

from __future__ import annotations

import os.path
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import click

from runner import naming
from runner.backends.background import side_by_side
from runner.bundle.flow_folder import look_into
from runner.cli.format import as_json_option, echo, echo_error, echo_json
from runner.cli.locations import believed_status, open_location, parse_location_argument, read_settings
from runner.cli.moments import read_moment
from runner.errors import NotFound, RunnerError, UsageError
from runner.location import Location
from runner.pruning.needs import Elsewhere
from runner.pruning.plan import Place, Rules, plan_flow
from runner.pruning.removal import remove
from runner.runs.display import size_text
from runner.schemes import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from runner.backends.base import Storage
    from runner.pruning.plan import Item, Plan
    from runner.settings import Settings

STATES = ("succeeded", "failed", "timed-out", "cancelled", "crashed", "lost", "refused", "asked-for")


_FLOWS_AT_ONCE = 2  # of which each reads several outcomes at once, of up to 64 MB


class ItemListing(TypedDict):
    """A run, a version, or a file that a killed writer left, in the document of ``runner prune --json``."""

    kind: str
    url: str
    reason: str
    objects: int
    bytes: int


class FailedListing(ItemListing):
    """One that could not be removed, and why."""

    error: str


class Freed(TypedDict):
    """What was freed, or would be."""

    runs: int
    versions: int
    objects: int
    bytes: int


class PruneDocument(TypedDict):
    """The document of ``runner prune --json``; what is kept is what the rules would remove, and something needs."""

    dry_run: bool
    removed: list[ItemListing]
    kept: list[ItemListing]
    failed: list[FailedListing]
    freed: Freed


def _read_states(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> frozenset[str]:
    names = [name.strip().replace("_", "-").replace(" ", "-") for text in texts for name in text.split(",")]
    if wrong := [name for name in names if name not in STATES]:
        message = f"{wrong[0]!r} is not one of {', '.join(STATES)}"
        raise click.BadParameter(message)
    return frozenset("timed_out" if name == "timed-out" else name.replace("-", " ") for name in names)


@click.command(short_help="Remove old runs and versions.")
@click.argument("url")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Keep the newest N of each flow.")
@click.option("--older-than", "before", callback=read_moment, metavar="TIME", help="Remove only older ones: 30d.")
@click.option(
    "--states",
    multiple=True,
    callback=_read_states,
    metavar="STATES",
    help=f"Runs in these alone, by commas: {', '.join(STATES)}.",
)
@click.option("--only", type=click.Choice(["runs", "versions"]), help="Remove nothing else.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
def prune(url: str, *, dry_run: bool, yes: bool, as_json: bool, **given: Any) -> int:
    """Remove old runs and versions of the flow at URL, or of all flows below it, which nothing needs any more.

    What goes is neither among the newest N nor younger than TIME, as far as these are given. Runs that are not over
    stay, unless --states names what they are in; so does what an agent, its queue, a pointer, an alias or a run that
    stays needs, and each flow's newest version. A removal that was cut short is gone on with by the next one.
    """
    rules = _rules(**given)
    if rules.keep is None and not rules.before:
        message = "neither --keep nor --older-than is given, so all that is over would go"
        raise UsageError(message, hint="Say what is to stay: --keep 20, or --older-than 30d.")
    if not (yes or dry_run or sys.stdin.isatty()):
        message = "nobody can be asked here whether this is meant"
        raise UsageError(message, hint="Look first, with --dry-run; then give --yes.")
    answer = _Answer(dry_run=dry_run, as_json=as_json)
    planned = _plan(url, rules, answer)
    for place, plan in planned:
        answer.keep(place, plan.kept)
    going = [(place, item) for place, plan in planned for item in plan.going]
    if dry_run or not yes:
        for place, item in going:
            answer.remove(place, item, "would remove", counts=dry_run)
    if going and not dry_run:
        if not yes:
            question = f"Remove {_amount(_freed([_listing(place, item) for place, item in going]))}?"
            click.confirm(question, abort=True, err=True)
        _remove(planned, answer, aloud=yes)
    answer.tell()
    return answer.code


def _rules(keep: int | None, before: datetime | None, states: frozenset[str], only: str | None) -> Rules:
    moment = before.isoformat(timespec="microseconds") if before else ""
    return Rules(keep, moment, states, runs=only != "versions", versions=only != "runs")


def _plan(url: str, rules: Rules, answer: _Answer) -> list[tuple[Place, Plan]]:
    """Return what goes of each flow; one that cannot be looked at keeps no other."""

    def plan(place: Place) -> tuple[Place, Plan] | None:
        try:
            return place, plan_flow(place, rules)
        except RunnerError as error:
            answer.fail({**_of_flow(place), "error": error.message}, error)
            return None

    flows = _find_flows(url, read_settings(with_location=False))
    return [found for found in side_by_side(plan, flows, _FLOWS_AT_ONCE) if found]


def _remove(planned: Iterable[tuple[Place, Plan]], answer: _Answer, *, aloud: bool) -> None:
    for place, plan in planned:
        try:
            for item, kept, error in remove(place, plan):
                if error:
                    answer.fail({**_listing(place, item), "error": error.message}, error)
                elif kept:
                    answer.keep(place, [item._replace(reason=kept)])
                else:
                    answer.remove(place, item, "removed" if aloud else "")
        except RunnerError as error:
            answer.fail({**_of_flow(place), "error": error.message}, error)


def _find_flows(url: str, settings: Settings) -> list[Place]:
    """Return the flow at a URL, or those below it. Raises NotFound, and UsageError for the folder of a run."""
    location = parse_location_argument(url).as_root()
    storage = open_location(location)
    found = look_into(storage, location.key)
    if any(entry.key.rpartition("/")[2] in {"run.json", "outcome.json"} for entry in found.others):
        message = f"{location.url} is the folder of a run"
        raise UsageError(message, hint="Name its flow, or the folder that flows lie in.")
    if found.is_flow:
        homes = [location.key] if found.versions or "runs" in found.folders else []
        if location.scheme == LOCAL.scheme:  # keys begin, as in its documents, with the flow's own folder
            folder, name = os.path.split(location.container.rstrip(os.sep))
            storage, homes = open_location(Location(location.scheme, folder, "")), [name for _ in homes]
    else:
        names = [name for name in found.folders if not name.startswith("_")]
        keys = [f"{location.key}/{name}".lstrip("/") for name in names]
        are_flows = side_by_side(lambda key: _may_be_flow(storage, key), keys)
        homes = [key for key, is_flow in zip(keys, are_flows, strict=True) if is_flow]
    if not homes:
        message = f"there is no flow at {location.url}, and none below it"
        raise NotFound(message, hint="Check the name; runner ls lists what is there.")
    elsewhere = _elsewhere(settings)
    return [
        Place(storage, home, settings, believed_status, elsewhere and elsewhere.of(home, storage)) for home in homes
    ]


def _may_be_flow(storage: Storage, home: str) -> bool:
    """Return whether a folder has runs or versions; of one that cannot be listed that is told later."""
    try:
        folders, entries = storage.list_folder(f"{home}/")
    except RunnerError:
        return True
    return "runs" in folders or any(naming.VERSION.fullmatch(entry.key.rpartition("/")[2]) for entry in entries)


class _Results(NamedTuple):
    """The place where RUNNER_RESULTS has runs lie."""

    storage: Storage
    root: str

    def of(self, home: str, beside: Storage) -> Elsewhere | None:
        """Return where the runs of a flow lie there; None if that is beside its bundles, or it has no name."""
        name = home.rpartition("/")[2]
        key = f"{self.root}/{name}".lstrip("/")
        return Elsewhere(self.storage, key) if name and self.storage.url(key) != beside.url(home) else None


def _elsewhere(settings: Settings) -> _Results | None:
    if settings.results is None:
        return None
    root = settings.results.as_root()
    return _Results(open_location(root), root.key)


class _Answer:
    """What is told while it is done, or in the end as JSON, and the exit code."""

    def __init__(self, *, dry_run: bool, as_json: bool) -> None:
        self._as_json, self.code = as_json, 0
        nothing: Freed = {"runs": 0, "versions": 0, "objects": 0, "bytes": 0}
        self._document: PruneDocument = {
            "dry_run": dry_run,
            "removed": [],
            "kept": [],
            "failed": [],
            "freed": nothing,
        }

    def remove(self, place: Place, item: Item, verb: str, *, counts: bool = True) -> None:
        """Note what goes, or would; with a verb it is told at once."""
        listing = _listing(place, item)
        if counts:
            self._document["removed"].append(listing)
        if verb:
            self._say(f"{verb} {_described(listing)}")

    def keep(self, place: Place, items: Iterable[Item]) -> None:
        """Note what the rules would have go, and something needs."""
        for item in items:
            listing = _listing(place, item)
            self._document["kept"].append(listing)
            self._say(f"keeps {listing['kind']} {listing['url']}: {listing['reason']}")

    def fail(self, listing: FailedListing, error: RunnerError) -> None:
        """Note what could not be removed, or looked at; the first error's code is that of the command."""
        self.code = self.code or error.code
        self._document["failed"].append(listing)
        if not self._as_json:
            echo_error(f"{listing['url']} stays: {error}")

    def tell(self) -> None:
        """Write what was freed in all."""
        self._document["freed"] = _freed(self._document["removed"])
        if self._as_json:
            echo_json(self._document)
        else:
            verb = "would free" if self._document["dry_run"] else "freed"
            echo(f"{verb} {_amount(self._document['freed'])}" if self._document["removed"] else "nothing is to go")

    def _say(self, line: str) -> None:
        if not self._as_json:
            echo(line)


def _listing(place: Place, item: Item) -> ItemListing:
    return {
        "kind": item.kind,
        "url": place.storage.url(item.key),
        "reason": item.reason,
        "objects": item.objects,
        "bytes": item.size,
    }


def _of_flow(place: Place) -> ItemListing:
    return {"kind": "flow", "url": place.storage.url(place.home), "reason": "", "objects": 0, "bytes": 0}


def _described(listing: ItemListing) -> str:
    objects = "1 object" if listing["objects"] == 1 else f"{listing['objects']:,} objects"
    return f"{listing['kind']} {listing['url']}: {listing['reason']}; {objects}, {size_text(listing['bytes'])}"


def _freed(removed: list[ItemListing]) -> Freed:
    return {
        "runs": sum(one["kind"] == "run" for one in removed),
        "versions": sum(one["kind"] == "version" for one in removed),
        "objects": sum(one["objects"] for one in removed),
        "bytes": sum(one["bytes"] for one in removed),
    }


def _amount(freed: Freed) -> str:
    counted = [f"{freed[name]:,} {name[:-1] if freed[name] == 1 else name}" for name in ("runs", "versions", "objects")]
    return f"{', '.join(counted)}, {size_text(freed['bytes'])}"
