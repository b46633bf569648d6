"""Private folders for the modules that a bundle brings, and the removal of those that a killed process left.

A folder is locked as long as a process that uses it lives, on whatever container: locks are the kernel's, of the
folder itself, and go with the last process that holds them. https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from runner.backends.local.private import open_folder
from runner.naming import UNPACKED

_PROCESS_LOCKS: list[int] = []  # descriptors of this process's folders: open, and so locked, until it ends


def make_folder(inside: str) -> str:
    """Create a locked folder in the one for temporary files, or where Python finds another one. Raises OSError."""
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{UNPACKED}", dir=inside))
    except OSError:
        made = Path(tempfile.mkdtemp(prefix=f".{UNPACKED}"))
    descriptor = open_folder(str(made))
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _PROCESS_LOCKS.append(descriptor)
    folder = made.with_name(made.name.removeprefix("."))
    made.rename(folder)  # it has its name only now that it is locked
    return str(folder)


def is_one(path: str) -> bool:
    """Return whether a path is that of such a folder."""
    return os.path.basename(path).startswith(UNPACKED)  # noqa: PTH119 - compared as text


def sweep(inside: str) -> None:
    """Remove this user's folders that nobody uses any more."""
    for folder in Path(inside).glob(f"{UNPACKED}*"):
        with suppress(OSError):  # it is used, another user's, no folder, or gone
            descriptor = open_folder(str(folder))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)
