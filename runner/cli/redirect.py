"""Redirecting standard output, so that ``--json`` prints one JSON document and nothing else."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stdout_to_stderr(*, wanted: bool) -> Iterator[None]:
    """Redirect what an author's code prints in the block to standard error, if wanted.

    File descriptors are redirected, not Python's streams, as child processes and native code print as well.
    """
    if not wanted or sys.stdout is None:
        yield
        return
    sys.stdout.flush()
    stream, stdout = sys.stdout, os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else 2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = stream  # whatever the author's code has put there
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)
