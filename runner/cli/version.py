"""``runner version``."""

from __future__ import annotations

import json
import platform

import click

from runner import __version__


@click.command(short_help="Show the versions of runner and Python.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(*, as_json: bool) -> None:
    """Show the versions of runner and Python."""
    facts = {"runner": __version__, "python": platform.python_version()}
    click.echo(json.dumps(facts) if as_json else "\n".join(f"{name} {value}" for name, value in facts.items()))
