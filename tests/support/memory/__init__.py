"""A backend that is none of runner's: one folder, and one row that a process registers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.schemes import Backend, register, unregister

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = Backend(
    scheme="memory",
    word="memory",
    title="memory",
    opener="support.memory.storage:open_memory",
    declaration="support.memory.declaration:Memory",
    label="memory-flow-storage",
)


@contextmanager
def registered() -> Iterator[None]:
    """Let this process know the backend for as long as the block lasts."""
    register(MEMORY)
    try:
        yield
    finally:
        unregister(MEMORY)
