"""What a launch is told on the command line, by whichever command launches."""

from __future__ import annotations

import json
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from runner.cli.parameters import Seconds, parameters_option, read_options
from runner.environ import process_environ
from runner.environments import RESOURCES, read_resources
from runner.errors import UsageError
from runner.launchers import launcher_class
from runner.launchers.base import make_launcher
from runner.launchers.budgets import START_SECONDS, Budgets
from runner.launchers.order import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.launchers.base import Launcher
    from runner.schema.documents import JsonObject
    from runner.settings import Settings

_OF_PLATFORM: tuple[Callable[[Any], Any], ...] = (
    click.option("--image", metavar="IMAGE", help="Instead of the one that the flow names, or that fits it."),
    click.option("-e", "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="A variable; no secret."),
    click.option(
        "--secret", "secrets", multiple=True, metavar="NAME=REFERENCE", help="Where the platform has a secret."
    ),
    click.option(
        "--plain-secret", "plain", multiple=True, metavar="NAME", help="A secret that may be a plain variable."
    ),
    click.option("--cpu", metavar="CORES", help="Cores of its container."),
    click.option("--memory", metavar="SIZE", help="Memory of its container: 4Gi."),
    click.option("--gpu", metavar="N", help="GPUs of its container."),
    click.option("--disk", metavar="SIZE", help="Disk of its container: 20Gi."),
    click.option("-O", "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the platform's."),
)

_OF_BUDGETS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--start-timeout",
        type=Seconds(min=1),
        metavar="SECONDS",
        help=f"Until it must have begun; without this {START_SECONDS:g}, and any time in a queue.",
    ),
    click.option("--start-retries", type=click.IntRange(min=0), default=2, metavar="N", show_default=True),
    click.option("--restarts", type=click.IntRange(min=0), default=0, metavar="N", show_default=True),
)


def launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the options of a launch, which `wishes_of` and `launcher_of` read."""
    return _with(command, (parameters_option, *_OF_PLATFORM))


def platform_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the options of a launch that hold for any flow."""
    return _with(command, _OF_PLATFORM)


def budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command with the options that `budgets_of` reads."""
    return _with(command, _OF_BUDGETS)


def _with(command: Callable[..., Any], options: Sequence[Callable[[Any], Any]]) -> Callable[..., Any]:
    return reduce(lambda decorated, option: option(decorated), reversed(options), command)


def budgets_of(given: Mapping[str, Any]) -> Budgets:
    """Return how long a start may take, and how often it is made again."""
    return Budgets(given["start_timeout"], given["start_retries"], given["restarts"])


def launcher_of(kind: str, given: Mapping[str, Any]) -> Launcher:
    """Return the launcher of a kind, with the options of the command line. Raises UsageError."""
    return make_launcher(launcher_class(kind), _options(given["options"]))


def wishes_of(settings: Settings, given: Mapping[str, Any]) -> Wishes:
    """Return what the command line says of the flow's start. Raises UsageError."""
    if given["image"] == "":
        raise UsageError("--image is empty", hint="Name an image, or leave it out.")
    return Wishes(
        parameters=(settings.parameters or {}) | read_options(given["parameters"]),
        image=given["image"],
        environ=_variables(given["variables"]),
        secrets=_pairs(given["secrets"], "--secret NAME=REFERENCE"),
        plain=given["plain"],
        resources=read_resources({name: given[name] for name in RESOURCES if given[name] is not None}),
    )


def _variables(given: Sequence[str]) -> dict[str, str]:
    """Return the variables of -e, as docker takes them: of a name alone, the value of this process's."""
    environ, read = process_environ(), dict[str, str]()
    for text in given:
        name, equals, value = text.partition("=")
        if equals or name in environ:
            read[name] = value if equals else environ[name]
    return read


def _pairs(given: Sequence[str], usage: str) -> dict[str, str]:
    read = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"{text!r} is no name with a value", hint=f"Write {usage}.")
        read[name] = value
    return read


def _options(given: Sequence[str]) -> JsonObject:
    """Return the platform's options; a value is JSON, or text."""
    return {name: _json_or_text(text) for name, text in _pairs(given, "-O NAME=VALUE").items()}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
