"""``-p NAME=VALUE``: a flow's parameters on the command line."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from runner.errors import UsageError
from runner.limits import MOST_SECONDS
from runner.schema.json_values import read_json
from runner.settings import check_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

parameters_option: Callable[[Any], Any] = click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter: JSON, or text."
)


class Seconds(click.FloatRange):
    """A number of seconds that can be waited for; click takes ``nan`` for one, which is neither less nor more than any.

    Infinity, and all that is more than 31 years, is none either: no lock of Python's waits so long.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType.convert`."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds) or seconds > MOST_SECONDS:
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


def with_parameters(environ: Mapping[str, str], parameters: Sequence[str]) -> dict[str, str]:
    """Return an environment whose RUNNER_PARAMETERS has these as well, in the place of its own of their names."""
    if not parameters:
        return dict(environ)
    given = _read_parameters(environ.get("RUNNER_PARAMETERS")) | read_options(parameters)
    return {**environ, "RUNNER_PARAMETERS": json.dumps(given)}


def read_options(parameters: Sequence[str]) -> dict[str, Any]:
    """Return the values that the options give, by the parameters' names. Raises UsageError."""
    return dict(map(_split_parameter, parameters))


def read_run_id(text: str | None) -> str | None:
    """Return the run id of an option. Raises UsageError for one that is none."""
    try:
        return None if text is None else check_run_id(text)
    except ValueError as error:
        raise UsageError(f"--run-id: {error}", hint="Give another one, or none.") from error


def _read_parameters(text: str | None) -> dict[str, Any]:
    try:
        given = read_json(text or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        message = "RUNNER_PARAMETERS is no JSON object"
        raise UsageError(message, hint="Correct or unset it.")
    return given


def _split_parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        message = f"parameter {text!r} has no value"
        raise UsageError(message, hint="Write -p NAME=VALUE.")
    try:
        json.loads(value)
    except ValueError:
        return name, value  # a text need not stand in quotes
    except RecursionError as error:
        raise UsageError(f"parameter {name} is nested too deep", hint="Give it as a text, in quotes.") from error
    try:
        return name, read_json(value)
    except ValueError as error:
        raise UsageError(
            f"parameter {name}: {error}", hint="Give a value that JSON has, or a text in quotes."
        ) from error
