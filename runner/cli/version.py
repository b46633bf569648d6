"""``runner version``."""

from __future__ import annotations

import json
import platform

import click

from runner.environ import process_environ
from runner.version import __version__

_OF_IMAGE = ("image", "revision")  # in the environment of our images


@click.command(short_help="Show the versions of runner and Python.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Show the versions of runner and Python, and in an image its name and revision."""
    facts = {"runner": __version__, "python": platform.python_version()}
    environ = process_environ()
    facts |= {name: environ[f"RUNNER_{name.upper()}"] for name in _OF_IMAGE if f"RUNNER_{name.upper()}" in environ}
    click.echo(json.dumps(facts) if as_json else "\n".join(f"{name} {value}" for name, value in facts.items()))
