"""``runner inspect``: what a bundle or a pickle contains, without unpickling it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import click

from runner.bundle import archive
from runner.bundle.fetch import fetch
from runner.bundle.member_names import FLOW, SOURCES
from runner.cli.format import as_json_option, echo, echo_json, plain
from runner.cli.locations import bundle_location, open_location
from runner.errors import BundleCorrupt
from runner.serialization import foreign
from runner.serialization.inspection import inspect_pickle
from runner.serialization.pickle_report import format_report

_IMPORTS = re.compile(r"^[ \t]*(?:from|import)[ \t].*", re.MULTILINE)


@click.command(short_help="Show what a bundle says about itself.")
@click.argument("location")
@click.option(
    "--imports", "with_imports", is_flag=True, help="List what loading it would import, and what its code uses."
)
@as_json_option
def inspect(location: str, *, with_imports: bool, as_json: bool) -> None:
    """Show what the bundle at LOCATION says about itself, verified; nothing is unpickled.

    With --imports also what unpickling it would import, the names that the code in the pickle uses, and the import
    statements of the files that travel. That is an aid for a review and no boundary: code can make names while it runs.
    Only a signature says whose code it is.
    """
    target, settings = bundle_location(location)
    storage = open_location(target)
    key, data = fetch(storage, target, settings._replace(max_age=None))
    facts: dict[str, Any] = {
        "location": storage.url(key),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    contents = _read_bundle(data) if archive.is_bundle(data) else _read_plain_pickle(data)
    facts |= contents.facts
    report = inspect_pickle(contents.pickled, contents.python) if with_imports or facts["manifest"] is None else None
    if report and facts["manifest"] is None:
        if report.broken and not with_imports:
            message = f"{storage.url(key)} is no whole pickle: {report.broken}"
            raise BundleCorrupt(message, hint="Store the flow again; --imports lists what comes before the break.")
        facts["imports"] = sorted(report.modules)
        if report.exceeded:
            facts["unclear"] = report.exceeded
    if as_json:
        more = {"pickle": report.document(), "sources": contents.imports} if report and with_imports else {}
        echo_json(facts | more)
        return
    if facts["manifest"] is None:
        echo("a plain pickle, no bundle: nothing of it can be verified")
    _print_tree(facts)
    if report and with_imports:
        echo("", *format_report(report))
        for name, lines in contents.imports.items():
            echo("", f"file {name}", *(f"  {line}" for line in lines))


@dataclass(frozen=True, slots=True)
class _Contents:
    """What an object says about itself, its pickle, and the Python version that wrote that; empty if unknown.

    ``imports`` are the lines with import statements in the files that travel, by their names.
    """

    facts: dict[str, Any]
    pickled: bytes | memoryview
    python: str
    imports: dict[str, list[str]] = field(default_factory=dict)


def _read_bundle(data: bytes) -> _Contents:
    """Verify a bundle, and return its contents. Raises BundleCorrupt."""
    opened = archive.read_bundle(data)
    signed_by = None
    if opened.signature is not None:
        from runner.signing.signatures import check_form

        signed_by = check_form(opened.signature)
    written_by = opened.manifest.get("python")
    python = str(written_by.get("version")) if isinstance(written_by, dict) else ""
    facts = {"manifest": opened.manifest, "signed_by": signed_by}
    sources = {name: bytes(data).decode("utf-8", "replace") for name, data in opened.members.items() if _is_code(name)}
    imports = {name: [line.strip() for line in _IMPORTS.findall(text)] for name, text in sources.items()}
    return _Contents(facts, opened.members[FLOW], python, imports)


def _is_code(name: str) -> bool:
    return name.startswith(SOURCES) and name.endswith(".py")


def _read_plain_pickle(data: bytes) -> _Contents:
    """Return the contents of an object that runner did not write."""
    pickled, versions = foreign.open_pickle(data)
    return _Contents({"manifest": None, "versions": versions}, pickled, versions.get("python", ""))


def _print_tree(value: Any, indent: str = "") -> None:
    for name, part in value.items():
        if isinstance(part, dict) and part:
            echo(f"{indent}{name}:")
            _print_tree(part, indent + "  ")
        elif isinstance(part, list) and part and isinstance(part[0], dict):
            echo(f"{indent}{name}:")
            for each in part:
                line = ", ".join(f"{key}: {plain(field)}" for key, field in each.items())
                echo(f"{indent}  - {line}")
        else:
            echo(f"{indent}{name}: {plain(part)}")
