"""What reading one input may cost, whatever it is: a second of processor time, and 64 MB beyond its own size."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 1.0
MEMORY = 64 * 1024 * 1024


@contextmanager
def bounded(value: object) -> Iterator[None]:
    """Let what is read in the block take no more; memory that is not given is a MemoryError, which nothing declares."""
    used = int(Path("/proc/self/statm").read_text("utf-8").split()[5]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    size = len(value) if isinstance(value, str | bytes | list | dict) else 0
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    took = time.process_time() - began
    assert took < SECONDS, f"{took:.2f} s for {value!r:.200}"
