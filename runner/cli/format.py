"""What commands write: lines, fields, blocks, tables or JSON, of which no text is obeyed by a terminal.

Whatever a command writes comes through here, as all of it may come from a bucket, a server or the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runner.logs import json_text, printable, text_block

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

as_json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def plain(value: Any) -> str:
    """Return a value of a manifest as a person reads it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)


def echo(*lines: object, err: bool = False) -> None:
    """Write each value as one line, whatever it contains."""
    for line in lines:
        click.echo(printable(str(line)), err=err)


def echo_field(name: str, value: object) -> None:
    """Write a name and what belongs to it; where that has several lines, all stand in its column."""
    click.echo(f"{name:8} {text_block(str(value).rstrip(), ' ' * 9)}")


def echo_block(text: str, *, err: bool = False) -> None:
    """Write a text of several lines, which begin where it has them."""
    click.echo(text_block(text, ""), err=err)


def echo_error(text: str) -> None:
    """Write on standard error what went wrong."""
    click.echo(f"runner: {text_block(text)}", err=True)


def echo_json(document: object, *, exact: bool = False) -> None:
    """Write one document as JSON; see `json_text`."""
    click.echo(json_text(document, exact=exact))


def echo_answer(document: object, *lines: object, as_json: bool) -> None:
    """Write a document if JSON is wanted, else lines."""
    if as_json:
        echo_json(document)
    else:
        echo(*lines)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head, every column as wide as its widest cell."""
    table = [list(head), *(["-" if cell is None else printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
