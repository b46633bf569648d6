"""``runner inspect``, ``ls``, ``show`` and ``result``: what lies in a storage, read and never run."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner import bundle, foreign, records, results
from runner.cli.places import believe, open_place, open_run, place
from runner.cli.table import print_table, printable, size_text
from runner.errors import BundleCorrupt, NotFound, Untrusted, UsageError
from runner.fetch import fetch
from runner.imports import look_through, told_of
from runner.records import RunFolder
from runner.standing import latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.storage.base import Storage

_TOLD = 5  # elements that a message names
as_json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(short_help="Show what a bundle says about itself.")
@click.argument("location")
@click.option("--imports", "with_imports", is_flag=True, help="List what unpickling would import, and its code use.")
@as_json_option
def inspect(location: str, *, with_imports: bool, as_json: bool) -> None:
    """Show what the bundle at LOCATION says about itself, verified; nothing is unpickled.

    With --imports also what unpickling it would import, and the names that the code in it uses. That is an aid for a
    review and no boundary: code can make names while it runs. Only a signature says whose code it is.
    """
    where = place(location)
    storage = open_place(where)
    key, data = fetch(storage, where.key)
    facts: dict[str, Any] = {
        "location": storage.url(key),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    about, pickled, python = _of_bundle(data) if bundle.is_bundle(data) else _of_pickle(data)
    facts |= about
    found = look_through(pickled, python)
    if about["manifest"] is None:
        if found.broken and not with_imports:
            message = f"{storage.url(key)} is no whole pickle: {found.broken}"
            raise BundleCorrupt(message, hint="Store the flow again; --imports lists what comes before the break.")
        facts["imports"] = sorted(found.modules)
    if as_json:
        click.echo(json.dumps(facts | ({"pickle": found.document()} if with_imports else {})))
        return
    if about["manifest"] is None:
        click.echo("a plain pickle, no bundle: nothing of it can be verified")
    _print_tree(facts)
    if with_imports:
        click.echo("\n" + "\n".join(map(printable, told_of(found))))


def _of_bundle(data: bytes) -> tuple[dict[str, Any], bytes, str]:
    """Give what a bundle says about itself, its pickle, and the Python that wrote that. Raises BundleCorrupt."""
    opened = bundle.read_bundle(data)
    signed_by = None
    if opened.signature is not None:
        from runner.signing import check_form

        signed_by = check_form(opened.signature)
    wrote = opened.manifest.get("python")
    python = str(wrote.get("version")) if isinstance(wrote, dict) else ""
    return {"manifest": opened.manifest, "signed_by": signed_by}, bytes(opened.members[bundle.FLOW]), python


def _of_pickle(data: bytes) -> tuple[dict[str, Any], bytes, str]:
    """Give the same of an object that runner did not write."""
    pickled, versions = foreign.open_pickle(data)
    return {"manifest": None, "versions": versions}, pickled, versions.get("python", "")


def _print_tree(value: Any, indent: str = "") -> None:
    for name, part in value.items():
        if isinstance(part, dict) and part:
            click.echo(f"{indent}{printable(name)}:")
            _print_tree(part, indent + "  ")
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            click.echo(f"{indent}{printable(name)}:")
            for each in part:
                line = ", ".join(f"{key}: {_plain(field)}" for key, field in each.items())
                click.echo(f"{indent}  - {printable(line)}")
        else:
            click.echo(printable(f"{indent}{name}: {_plain(part)}"))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)


@click.command(short_help="List flows, or a flow's versions and runs.")
@click.argument("url")
@as_json_option
def ls(url: str, *, as_json: bool) -> None:
    """List the flows at URL; of a flow, its versions and runs."""
    location = place(url).as_root()
    storage = open_place(location)
    prefix = f"{location.key}/".lstrip("/")
    folders, entries = storage.folder(prefix)
    if not folders and not entries:
        message = f"there is nothing at {location.url}"
        raise NotFound(message, hint="Check the name.")
    if not entries and "runs" not in folders:
        _list_flows(storage, prefix, folders, as_json=as_json)
        return
    home = location.key
    run_ids = storage.folder(f"{prefix}runs/")[0] if "runs" in folders else []
    runs = [{"run": run_id, **_standing(storage, RunFolder(home, run_id))} for run_id in run_ids]
    if as_json:
        listed = [{"location": storage.url(entry.key), "size": entry.size} for entry in entries]
        click.echo(json.dumps({"versions": listed, "runs": runs}))
        return
    print_table(["VERSION", "SIZE"], [[entry.key.removeprefix(prefix), size_text(entry.size)] for entry in entries])
    click.echo()
    print_table(["RUN", "STATE", "BEGAN", "URL"], [[run["run"], run["told"], run["began"], run["url"]] for run in runs])


def _list_flows(storage: Storage, prefix: str, folders: list[str], *, as_json: bool) -> None:
    flows = []
    for name in folders:
        inside, entries = storage.folder(f"{prefix}{name}/")
        versions = [entry.key.rpartition("/")[2] for entry in entries]
        if versions or inside:  # a folder that holds neither is none of ours, or a prefix with flows below it
            named = [version for version in versions if records.VERSION.fullmatch(version)]
            flows.append({"flow": name, "versions": len(versions), "newest": max(named, default=None)})
    if as_json:
        click.echo(json.dumps({"flows": flows}))
    else:
        print_table(
            ["FLOW", "VERSIONS", "NEWEST"], [[flow["flow"], flow["versions"], flow["newest"]] for flow in flows]
        )


def _standing(storage: Storage, folder: RunFolder) -> dict[str, Any]:
    """Tell how a run stands; one that cannot be told of must not hide the others."""
    try:
        standing = latest(storage, folder)
    except (BundleCorrupt, NotFound, UsageError):
        return {
            "state": "unreadable",
            "told": "unreadable",
            "began": None,
            "silent": None,
            "url": storage.url(folder.prefix),
        }
    began = (standing.document or standing.claim or {}).get("started")
    told = {"state": standing.state, "told": standing.told, "began": began}
    return {**told, "silent": standing.silent, "url": storage.url(folder.prefix)}


@click.command(short_help="Show a run: state, tasks, error.")
@click.argument("run")
@as_json_option
def show(run: str, *, as_json: bool) -> None:
    """Show the state of RUN, its tasks with their results, and its error."""
    storage, folder = open_run(run)
    standing = latest(storage, folder)
    document = standing.document
    if as_json:
        told = {"run_id": folder.run_id, "state": standing.state, "silent": standing.silent, "claim": standing.claim}
        click.echo(json.dumps(document or told))
        return
    click.echo(f"run      {folder.run_id}\nstate    {standing.told}")
    if document is None:
        if held := standing.claim:
            click.echo(f"attempt  {held['attempt']}, since {held['started']} on {held['host']}")
        return
    click.echo(f"flow     {_plain(document['flow'])}\nbundle   {document['bundle']['url']}")
    try:
        believe(storage, folder, document)
    except Untrusted as error:
        click.echo(f"signed   by nobody who is trusted here: {error.message}")
    click.echo(f"exit     {document['exit_code']}")
    click.echo(f"began    {document['started']}\nended    {document['ended']}, attempt {document['attempt']}")
    if document["error"]:
        click.echo(f"error    {document['error']['message']}")
    _print_death(document.get("death"))
    if document["tasks"]:
        click.echo()
        _print_tasks(storage, document["tasks"])
    for task in document["tasks"]:
        if task["error"]:
            click.echo(f"\n{_label(task)}:\n{task['error']['traceback'].rstrip()}")


def _print_death(death: dict[str, Any] | None) -> None:
    """Print what is known of a process that ended without a word."""
    if death is None:
        return
    if death["peak_memory"]:
        click.echo(f"memory   {size_text(death['peak_memory'])} at the most")
    for name in ("log", "trace"):
        if death[name]:
            click.echo(f"\nits last lines:\n{death[name].rstrip()}" if name == "log" else f"\n{death[name].rstrip()}")


def _print_tasks(storage: Storage, tasks: list[dict[str, Any]]) -> None:
    """Print a row a task; the elements of a mapped one are counted, and their results lie in one folder."""
    rows = []
    for slug in dict.fromkeys(task["task"] for task in tasks):
        units = [task for task in tasks if task["task"] == slug]
        kept = [task["result"] for task in units if task["result"]]
        states = [task["state"] for task in units]
        state = next((each for each in ("failed", "cancelled", "skipped") if each in states), "succeeded")
        if units[0]["mapped"]:
            elements = [task for task in units if task["index"] is not None]
            done = sum(task["state"] == "succeeded" for task in elements)
            state += f" ({done} of {len(elements)})"
        seconds = sum(_seconds(task) for task in units)
        where = "" if not kept else storage.url(kept[0]["key"])
        if len(kept) > 1:
            where = f"{where.rpartition('/')[0]}/"
        size = size_text(sum(result["size"] for result in kept)) if kept else ""
        rows.append([slug, state, sum(task["tries"] for task in units), f"{seconds:.2f}", size, where])
    print_table(["TASK", "STATE", "TRIES", "SECONDS", "SIZE", "RESULT"], rows)


def _seconds(task: dict[str, Any]) -> float:
    from datetime import datetime

    if not task["started"] or not task["ended"]:
        return 0.0
    return (datetime.fromisoformat(task["ended"]) - datetime.fromisoformat(task["started"])).total_seconds()


def _label(task: dict[str, Any]) -> str:
    return str(task["task"]) if task["index"] is None else f"{task['task']}[{task['index']}]"


@click.command(short_help="Show or copy what a task gave.")
@click.argument("run")
@click.argument("task", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Copy the bytes to a file; nothing is unpickled.")
@as_json_option
def result(run: str, task: str | None, output: Path | None, *, as_json: bool) -> None:
    """Show what TASK (as in clean, or clean[3]) gave in RUN; without TASK, what the last one gave."""
    storage, folder = open_run(run)
    document = latest(storage, folder).document
    believe(storage, folder, document)
    found = _results_of(document["tasks"] if document else [], task)
    if output is not None:
        if len(found) != 1 or (found[0]["index"] is None and found[0]["mapped"]):
            message = f"{found[0]['task']} is mapped, and a file takes one result"
            raise UsageError(message, hint=f"Choose an element: {found[0]['task']}[0].")
        _copy(storage, found[0]["result"], output)
        if str(output) == "-":
            return
        told: Any = {"task": _label(found[0]), "file": str(output), **found[0]["result"]}
        click.echo(json.dumps(told) if as_json else f"{output}: {size_text(found[0]['result']['size'])}, verified")
        return
    whole = found[0]["mapped"] and not re.search(r"\[\d+\]$", task or "")
    values = [results.read_result(storage, each["result"]) for each in found if each["result"]]
    value = values if whole else values[0]
    if as_json:
        try:
            click.echo(json.dumps(value))
        except (TypeError, ValueError) as error:
            message = f"the value cannot be shown as JSON: {error}"
            raise UsageError(message, hint="Copy it with -o FILE, or leave --json out.") from error
    else:
        click.echo(repr(value))


def _results_of(tasks: list[dict[str, Any]], wanted: str | None) -> list[dict[str, Any]]:
    """Choose the tasks, or elements, whose results are asked for.

    Raises NotFound, naming those that have one; also for a mapped task of which elements have none, as what is left
    would stand in wrong places.
    """
    kept = [task for task in tasks if _has_value(task)]
    if wanted is None and kept:
        wanted = kept[-1]["task"]
    asked = [task for task in tasks if wanted in {task["task"], _label(task)}]
    found, lacking = ([task for task in asked if _has_value(task) is has] for has in (True, False))
    states = " and ".join(sorted({task["state"] for task in lacking}))
    if not found:
        names = ", ".join(dict.fromkeys(task["task"] for task in kept)) or "none"
        message = f"the run has no result of {wanted!r}" if wanted else "the run has no results"
        message += f", which {states}" if states else ""
        raise NotFound(message, hint=f"Tasks with results: {names}.")
    if lacking:
        labels = ", ".join(map(_label, lacking[:_TOLD]))
        labels += f" and {len(lacking) - _TOLD} more" if len(lacking) > _TOLD else ""
        message = f"{len(lacking)} of {len(asked)} elements have no result: {labels} ({states})"
        raise NotFound(message, hint=f"Ask for one element, like {_label(found[0])}.")
    return found


def _has_value(task: dict[str, Any]) -> bool:
    """Whether a task has something to show: a result, or, mapped over nothing, an empty list."""
    empty = task["mapped"] and task["index"] is None and task["state"] == "succeeded"
    return bool(task["result"] or empty)


def _copy(storage: Storage, kept: dict[str, Any], output: Path) -> None:
    """Copy to a file that is there, whole and verified, or not at all; ``-`` is standard output."""
    if str(output) == "-":
        results.copy_result(storage, kept, sys.stdout.buffer)
        return
    if output.is_dir():
        message = f"{output} is a folder"
        raise UsageError(message, hint="Name a file in it.")
    temporary = output.with_name(f".{output.name}.part")
    try:
        with temporary.open("wb") as file:
            results.copy_result(storage, kept, file)
        temporary.replace(output)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise UsageError(message, hint="Choose another file.") from error
    finally:
        temporary.unlink(missing_ok=True)
