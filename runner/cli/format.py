"""What commands share of their output: the option ``--json``, tables, labels and sizes for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.schema.documents import TaskRecord

as_json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def plain(value: Any) -> str:
    """Return a value of a manifest as a person reads it."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)


def label(task: TaskRecord) -> str:
    """Return a task's slug, with the element's index if it is mapped."""
    return str(task["task"]) if task["index"] is None else f"{task['task']}[{task['index']}]"


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head, every column as wide as its widest cell."""
    table = [list(head), *(["-" if cell is None else printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Return a stranger's text as a terminal may show it: control characters and changes of direction as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def size_text(size: int) -> str:
    """Return a size as a person reads it: ``812 B``, ``4.1 kB``, ``1.3 GB``."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
