"""Whether a flow is being loaded in this process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESS_LOADING = False  # whether a `loading` block runs


def is_loading() -> bool:
    """Return whether a flow is being loaded in this process: its author's ``build()`` must not publish it again."""
    return _PROCESS_LOADING


@contextmanager
def loading() -> Iterator[None]:
    """Make `is_loading` true for the block."""
    global _PROCESS_LOADING  # noqa: PLW0603 - a fact about the process, which the author's code cannot pass along
    before, _PROCESS_LOADING = _PROCESS_LOADING, True
    try:
        yield
    finally:
        _PROCESS_LOADING = before
