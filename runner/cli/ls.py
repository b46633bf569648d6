"""``runner ls``: flows, versions and runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

import click

from runner import naming
from runner.bundle import pointers
from runner.bundle.pointers import Pointer
from runner.cli.format import as_json_option, print_table, size_text
from runner.cli.locations import open_location, parse_location_argument, settings
from runner.cli.promote import describe_alias, unusable_alias
from runner.errors import BundleCorrupt, NotFound, Untrusted, UsageError
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.cli.promote import AliasListing


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
@as_json_option
def ls(url: str, *, as_json: bool) -> None:
    """List the flows at URL; of a flow, its versions and runs."""
    location = parse_location_argument(url).as_root()
    storage = open_location(location)
    prefix = f"{location.key}/".lstrip("/")
    folders, entries = storage.list_folder(prefix)
    if not folders and not entries:
        message = f"there is nothing at {location.url}"
        raise NotFound(message, hint="Check the name.")
    if not entries and "runs" not in folders:
        _list_flows(storage, prefix, folders, as_json=as_json)
        return
    home = location.key
    listed = [entry for entry in entries if not pointers.is_pointer(entry.key)]
    aliases = _describe_aliases(url) if pointers.ALIASES in folders else []
    run_ids = storage.list_folder(f"{prefix}runs/")[0] if "runs" in folders else []
    runs = [_describe_run(RunStore(storage, RunLayout(home, run_id))) for run_id in run_ids]
    if as_json:
        versions = [{"location": storage.url(entry.key), "size": entry.size} for entry in listed]
        click.echo(json.dumps({"versions": versions, "aliases": aliases, "runs": runs}))
        return
    print_table(["VERSION", "SIZE"], [[entry.key.removeprefix(prefix), size_text(entry.size)] for entry in listed])
    click.echo()
    if aliases:
        print_table(
            ["ALIAS", "VERSION", "MADE"],
            [[one["alias"], one["version"] or one["problem"], one["made"]] for one in aliases],
        )
        click.echo()
    print_table(["RUN", "STATE", "BEGAN", "URL"], [[run["run"], run["told"], run["began"], run["url"]] for run in runs])


def _list_flows(storage: Storage, prefix: str, folders: list[str], *, as_json: bool) -> None:
    flows = []
    for name in folders:
        inside, entries = storage.list_folder(f"{prefix}{name}/")
        versions = [entry.key.rpartition("/")[2] for entry in entries if not pointers.is_pointer(entry.key)]
        if versions or inside:  # a folder that holds neither is none of ours, or a prefix with flows below it
            named = [version for version in versions if naming.VERSION.fullmatch(version)]
            flows.append({"flow": name, "versions": len(versions), "newest": max(named, default=None)})
    if as_json:
        click.echo(json.dumps({"flows": flows}))
    else:
        print_table(
            ["FLOW", "VERSIONS", "NEWEST"], [[flow["flow"], flow["versions"], flow["newest"]] for flow in flows]
        )


def _describe_aliases(url: str) -> list[AliasListing]:
    """Return what each alias of a flow stands for, or why it cannot be used."""
    flow = parse_location_argument(url)
    storage, environment = open_location(flow), settings()
    described: list[AliasListing] = []
    for alias in pointers.aliases(storage, flow.key):
        try:
            document = pointers.read(storage, Pointer(flow.key, alias), environment)
        except (BundleCorrupt, Untrusted) as error:
            described.append(unusable_alias(flow.url, alias, error))
        else:
            described += [describe_alias(flow.url, document)] if document else []
    return described


def _describe_run(store: RunStore) -> RunListing:
    """Return the status of a run; one that cannot be read is ``unreadable``, and the others are listed all the same."""
    try:
        status = run_status(store)
    except (BundleCorrupt, NotFound, UsageError):
        return {
            "run": store.run_id,
            "state": "unreadable",
            "told": "unreadable",
            "began": None,
            "silent": None,
            "url": store.url,
        }
    document = status.end or status.claim
    began = document["started"] if document else None
    return {
        "run": store.run_id,
        "state": status.state,
        "told": status.text,
        "began": began,
        "silent": status.silence,
        "url": store.url,
    }
