"""Whether a flow is being loaded in this process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_loading = False


def is_loading() -> bool:
    """Whether a flow is being loaded in this process, when its author's ``build()`` must not publish it again."""
    return _loading


@contextmanager
def loading() -> Iterator[None]:
    """Make `is_loading` true for the block."""
    global _loading  # noqa: PLW0603 - a fact about the process, which the author's code cannot hand along
    before, _loading = _loading, True
    try:
        yield
    finally:
        _loading = before
