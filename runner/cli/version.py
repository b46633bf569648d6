"""``runner version``: the versions of runner and Python, and the image."""

from __future__ import annotations

import platform

import click

from runner.cli.format import as_json_option, echo_answer
from runner.environ import process_environ
from runner.version import __version__

_IMAGE_FACTS = ("image", "revision")  # variables that runner's images set


@click.command(hidden=True)  # as --version is
@as_json_option
def version(*, as_json: bool) -> None:
    """Show the versions of runner and Python, and in an image its name and revision."""
    show_version(as_json=as_json)


def show_version(*, as_json: bool) -> None:
    """Write what `version` shows."""
    facts = {"runner": __version__, "python": platform.python_version()}
    environ = process_environ()
    facts |= {name: environ[f"RUNNER_{name.upper()}"] for name in _IMAGE_FACTS if f"RUNNER_{name.upper()}" in environ}
    echo_answer(facts, *(f"{name} {value}" for name, value in facts.items()), as_json=as_json)
