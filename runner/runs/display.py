"""Names and sizes of what belongs to a run, as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.runs.living import StoredTask
    from runner.schema.documents import TaskRecord


def label(task: TaskRecord | StoredTask) -> str:
    """Return a task's slug, with the element's index if it is mapped."""
    return str(task["task"]) if task["index"] is None else f"{task['task']}[{task['index']}]"


def size_text(size: int) -> str:
    """Return a size as a person reads it: ``812 B``, ``4.1 kB``, ``1.3 GB``."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
