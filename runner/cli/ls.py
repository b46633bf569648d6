"""``runner ls``: flows, versions and runs, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

import click

from runner import naming
from runner.backends.background import side_by_side
from runner.bundle import pointers
from runner.bundle.flow_folder import look_into
from runner.bundle.pointers import Pointer
from runner.cli.format import as_json_option, echo, echo_json, print_table
from runner.cli.locations import believed_status, open_location, parse_location_argument, read_settings
from runner.cli.moments import read_moment
from runner.cli.promote import describe_alias, unusable_alias
from runner.errors import BundleCorrupt, Denied, NotFound, Untrusted, UsageError
from runner.runs.display import size_text
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runner.backends.base import Entry, Storage
    from runner.bundle.flow_folder import FlowFolder
    from runner.cli.promote import AliasListing

_CHUNK = 64  # runs that are looked at until there are enough of those that are wanted
_STATES = (
    "succeeded",
    "failed",
    "timed_out",
    "cancelled",
    "crashed",
    "lost",
    "refused",
    "asked-for",
    "running",
    "stalled",
    "unreadable",
    "untrusted",
)
_PASSED_OVER = (BundleCorrupt, Denied, NotFound, UsageError)  # of one folder or run: the others are listed all the same


class FlowListing(TypedDict):
    """A flow in the document of ``runner ls --json``; ``versions`` is None if its folder cannot be listed."""

    flow: str
    versions: int | None
    newest: str | None


class ObjectListing(TypedDict):
    """A bundle in the document of ``runner ls --json``, or an object that may be one."""

    location: str
    size: int


class RunListing(TypedDict):
    """A run in the document of ``runner ls --json``; ``told`` is its state for people."""

    run: str
    state: str
    told: str
    began: str | None
    silent: float | None  # seconds since the last heartbeat of an active run
    url: str


class _Wish(NamedTuple):
    """Which runs are listed: so many at the most, in these states if there are any, and none from before a time."""

    limit: int | None
    states: tuple[str, ...]
    since: str

    @property
    def is_choosy(self) -> bool:
        return bool(self.states or self.since)

    def is_met(self, run: RunListing) -> bool:
        """Return whether a run is wanted; one that has not begun, or cannot be read, began after any time."""
        return (not self.states or run["state"] in self.states) and (run["began"] is None or run["began"] >= self.since)


@click.command(short_help="List flows, or a flow's versions and runs.")
@click.argument("url")
@click.option("-n", "--number", type=click.IntRange(min=1), default=20, show_default=True, help="List so many of each.")
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Of runs, only those in this state.")
@click.option("--since", callback=read_moment, metavar="TIME", help="Of runs, only newer ones: 2h, 7d, 2026-11-01.")
@as_json_option
def ls(
    url: str, *, number: int, everything: bool, states: tuple[str, ...], since: datetime | None, as_json: bool
) -> None:
    """List the flows at URL; of a flow, its versions, aliases and runs, the newest first, and what else lies there.

    Runs are sorted by when they began; of more given run ids than are listed, those with the last names are looked at.
    Of a run id that runner made, --since means the time in it, else when the run began.
    """
    location = parse_location_argument(url).as_root()
    storage = open_location(location)
    found = look_into(storage, location.key)
    if not found.folders and not found.versions and not found.others and not found.has_pointer:
        message = f"there is nothing at {location.url}"
        raise NotFound(message, hint="Check the name.")
    states = tuple(state.replace("-", " ") for state in states)
    wish = _Wish(None if everything else number, states, since.isoformat(timespec="microseconds") if since else "")
    if found.is_flow:
        aliases = _describe_aliases(url, wish.limit) if pointers.ALIASES in found.folders else ([], 0)
        _list_flow(storage, location.key, found, aliases, wish, as_json=as_json)
        return
    if wish.is_choosy:
        message = f"--state and --since choose among the runs of a flow, and {location.url} is none"
        raise UsageError(message, hint="Name a flow: runner ls lists them.")
    names = [name for name in found.folders if not name.startswith("_")]
    _list_flows(storage, f"{location.key}/".lstrip("/"), names, wish.limit, as_json=as_json)


def _list_flows(storage: Storage, prefix: str, names: list[str], limit: int | None, *, as_json: bool) -> None:
    def describe(name: str) -> FlowListing | None:
        try:
            inside, entries = storage.list_folder(f"{prefix}{name}/")
        except _PASSED_OVER:
            return {"flow": name, "versions": None, "newest": None}
        if not inside and not entries:
            return None  # it is none of ours
        versions = [entry.key.removeprefix(f"{prefix}{name}/") for entry in entries]
        versions = [version for version in versions if naming.VERSION.fullmatch(version)]
        return {"flow": name, "versions": len(versions), "newest": max(versions, default=None)}

    flows = [flow for flow in side_by_side(describe, names[:limit]) if flow]
    more = len(names) - len(names[:limit])
    if as_json:
        echo_json({"flows": flows, "more": {"flows": more}})
        return
    print_table(["FLOW", "VERSIONS", "NEWEST"], [[flow["flow"], flow["versions"], flow["newest"]] for flow in flows])
    _tell_more(more)


def _list_flow(
    storage: Storage,
    home: str,
    found: FlowFolder,
    aliases: tuple[list[AliasListing], int],
    wish: _Wish,
    *,
    as_json: bool,
) -> None:
    """List a flow's versions, the other objects in its folder (bundles with a key of their own, or anything), runs."""

    def describe(run_id: str) -> RunListing:
        return _describe_run(RunStore(storage, RunLayout(home, run_id)))

    def listed(entries: list[Entry]) -> list[ObjectListing]:
        return [{"location": storage.url(entry.key), "size": entry.size} for entry in entries]

    versions, others = found.versions[::-1][: wish.limit], found.others[: wish.limit]
    more = {"versions": len(found.versions) - len(versions), "others": len(found.others) - len(others)}
    runs, more["runs"] = _chosen(describe, found.runs, wish)
    more["aliases"] = aliases[1]
    if as_json:
        told = {"versions": listed(versions), "others": listed(others), "aliases": aliases[0], "runs": runs}
        echo_json(told | {"more": more})
        return
    for head, name, entries in (("VERSION", "versions", versions), ("OTHER OBJECT", "others", others)):
        if entries or name == "versions":
            print_table([head, "SIZE"], [[entry.key.rpartition("/")[2], size_text(entry.size)] for entry in entries])
            _tell_more(more[name])
            echo("")
    if aliases[0]:
        rows = [[one["alias"], one["version"] or one["problem"], one["made"]] for one in aliases[0]]
        print_table(["ALIAS", "VERSION", "MADE"], rows)
        _tell_more(more["aliases"])
        echo("")
    print_table(["RUN", "STATE", "BEGAN", "URL"], [[run["run"], run["told"], run["began"], run["url"]] for run in runs])
    _tell_more(more["runs"], "looks at" if wish.is_choosy else "lists")


def _chosen(describe: Callable[[str], RunListing], run_ids: list[str], wish: _Wish) -> tuple[list[RunListing], int]:
    """Return the runs that are listed, and how many more there are, or may be: no name tells a state.

    So many are looked at as are listed of those whose ids tell their time, and of the others; more, and of the others
    all, only for a wish that not every run meets.
    """
    dated = [run_id for run_id in run_ids if naming.time_of_run_id(run_id)][::-1]
    given = [run_id for run_id in run_ids if not naming.time_of_run_id(run_id)][::-1]
    if not wish.is_choosy:
        given = given[: wish.limit]
    recent = [run_id for run_id in dated if naming.time_of_run_id(run_id) >= wish.since]
    found = [run for run in side_by_side(describe, given) if wish.is_met(run)]
    looked_at, enough = 0, len(recent) if wish.limit is None else wish.limit
    while looked_at < len(recent) and enough > 0:
        chunk = recent[looked_at : looked_at + (_CHUNK if wish.is_choosy else enough)]
        met = [run for run in side_by_side(describe, chunk) if wish.is_met(run)]
        looked_at, enough, found = looked_at + len(chunk), enough - len(met), found + met
    shown = sorted(found, key=_began, reverse=True)[: wish.limit]
    if wish.is_choosy:
        return shown, len(found) - len(shown) + len(recent) - looked_at
    return shown, len(run_ids) - len(shown)


def _began(run: RunListing) -> str:
    """Return when a run began, as far as it or its id tells."""
    return run["began"] or naming.time_of_run_id(run["run"])


def _describe_aliases(url: str, limit: int | None) -> tuple[list[AliasListing], int]:
    """Return what each alias of a flow stands for, or why it cannot be used, and how many others there are."""
    flow = parse_location_argument(url)
    storage, settings = open_location(flow), read_settings(with_location=False)
    names = pointers.aliases(storage, flow.key)

    def describe(alias: str) -> AliasListing | None:
        try:
            document = pointers.read(storage, Pointer(flow.key, alias), settings)
        except (*_PASSED_OVER, Untrusted) as error:
            return unusable_alias(flow.url, alias, error)
        return describe_alias(flow.url, document) if document else None

    described = [alias for alias in side_by_side(describe, names[:limit]) if alias]
    return described, len(names) - len(names[:limit])


def _tell_more(number: int, does: str = "lists") -> None:
    if number:
        echo(f"and {number:,} more, which --all {does}")


def _describe_run(store: RunStore) -> RunListing:
    """Return the status of a run: ``unreadable`` if it cannot be read, ``untrusted`` if it must not be believed."""
    try:
        status = believed_status(store)
    except (*_PASSED_OVER, Untrusted) as error:
        is_untrusted = isinstance(error, Untrusted)
        state, told = ("untrusted", "not to be trusted") if is_untrusted else ("unreadable", "cannot be read")
        return {
            "run": store.run_id,
            "state": state,
            "told": told,
            "began": None,
            "silent": None,
            "url": store.url,
        }
    document = status.end or status.claim
    return {
        "run": store.run_id,
        "state": status.state,
        "told": status.text,
        "began": document["started"] if document else None,
        "silent": status.silence,
        "url": store.url,
    }
