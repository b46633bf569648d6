"""``runner ls``: flows, versions and runs, the newest first."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from runner import naming
from runner.bundle import pointers
from runner.bundle.pointers import Pointer
from runner.cli.format import as_json_option, echo, echo_json, print_table, size_text
from runner.cli.locations import believed_status, open_location, parse_location_argument, read_settings
from runner.cli.promote import describe_alias, unusable_alias
from runner.errors import BundleCorrupt, Denied, NotFound, Untrusted, UsageError
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.backends.base import Entry, Storage
    from runner.cli.promote import AliasListing

    Name = TypeVar("Name")
    Listed = TypeVar("Listed")

_DATED = re.compile(r"(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)-\d{6}-")  # a run id that runner made
_AT_ONCE = 8  # requests; an outcome may have 64 MB
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


@click.command(short_help="List flows, or a flow's versions and runs.")
@click.argument("url")
@click.option("-n", "--number", type=click.IntRange(min=1), default=20, show_default=True, help="List so many of each.")
@click.option("--all", "everything", is_flag=True, help="List all of them.")
@as_json_option
def ls(url: str, *, number: int, everything: bool, as_json: bool) -> None:
    """List the flows at URL; of a flow, its versions, aliases and runs, the newest first, and what else lies there.

    Runs are sorted by when they began; of more given run ids than are listed, those with the last names are looked at.
    """
    location = parse_location_argument(url).as_root()
    storage = open_location(location)
    prefix = f"{location.key}/".lstrip("/")
    folders, entries = storage.list_folder(prefix)
    if not folders and not entries:
        message = f"there is nothing at {location.url}"
        raise NotFound(message, hint="Check the name.")
    limit = None if everything else number
    versions = [entry for entry in entries if naming.VERSION.fullmatch(entry.key.removeprefix(prefix))]
    others = [entry for entry in entries if not naming.VERSION.fullmatch(entry.key.removeprefix(prefix))]
    others = [entry for entry in others if not pointers.is_pointer(entry.key)]
    runs, beside = storage.list_folder(f"{prefix}runs/") if "runs" in folders else ([], [])
    is_a_flow_called_so = any(naming.VERSION.fullmatch(entry.key.removeprefix(f"{prefix}runs/")) for entry in beside)
    if versions or not folders or ("runs" in folders and not is_a_flow_called_so):
        runs = [name for name in runs if not name.startswith("_")]  # what doctor left is none
        aliases = _describe_aliases(url, limit) if pointers.ALIASES in folders else ([], 0)
        _list_flow(storage, location.key, (versions, others, runs), aliases, limit, as_json=as_json)
    else:
        _list_flows(storage, prefix, [name for name in folders if not name.startswith("_")], limit, as_json=as_json)


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

    flows = [flow for flow in _side_by_side(describe, names[:limit]) if flow]
    more = len(names) - len(names[:limit])
    if as_json:
        echo_json({"flows": flows, "more": {"flows": more}})
        return
    print_table(["FLOW", "VERSIONS", "NEWEST"], [[flow["flow"], flow["versions"], flow["newest"]] for flow in flows])
    _tell_more(more)


def _list_flow(
    storage: Storage,
    home: str,
    found: tuple[list[Entry], list[Entry], list[str]],
    aliases: tuple[list[AliasListing], int],
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """List a flow's versions, the other objects in its folder (bundles with a key of their own, or anything), runs."""

    def describe(run_id: str) -> RunListing:
        return _describe_run(RunStore(storage, RunLayout(home, run_id)))

    def listed(entries: list[Entry]) -> list[ObjectListing]:
        return [{"location": storage.url(entry.key), "size": entry.size} for entry in entries]

    versions, others, run_ids = found[0][::-1], found[1], found[2]
    more = {
        name: len(all_of_them) - len(all_of_them[:limit])
        for name, all_of_them in (("versions", versions), ("others", others), ("runs", run_ids))
    }
    more["aliases"] = aliases[1]
    versions, others = versions[:limit], others[:limit]
    runs = sorted(_side_by_side(describe, _looked_at(run_ids, limit)), key=_began, reverse=True)[:limit]
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
    _tell_more(more["runs"])


def _looked_at(run_ids: list[str], limit: int | None) -> list[str]:
    """Return which runs are looked at: as many as are listed, of those whose ids tell their time, and of the others."""
    dated = [run_id for run_id in run_ids if _DATED.match(run_id)]
    given = [run_id for run_id in run_ids if not _DATED.match(run_id)]
    return given[::-1][:limit] + dated[::-1][:limit]


def _began(run: RunListing) -> str:
    """Return when a run began, as far as it or its id tells."""
    dated = _DATED.match(run["run"])
    return run["began"] or (dated.expand(r"\1-\2-\3T\4:\5:\6") if dated else "")


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

    described = [alias for alias in _side_by_side(describe, names[:limit]) if alias]
    return described, len(names) - len(names[:limit])


def _tell_more(number: int) -> None:
    if number:
        echo(f"and {number:,} more, which --all lists")


def _side_by_side(describe: Callable[[Name], Listed], names: Sequence[Name]) -> list[Listed]:
    """Return what is said of each, in order; it is asked for at the same time."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        return list(pool.map(describe, names))
    finally:
        pool.shutdown(cancel_futures=True)


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
