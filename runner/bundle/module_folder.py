"""Private folders for the modules that a bundle brings, and the removal of those that a killed process left.

A folder is locked as long as a process that uses it lives, on whatever container: locks are the kernel's, of the
folder itself, and go with the last process that holds them. https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from runner.backends.local.private import open_folder
from runner.naming import UNPACKED

_MEMORY = "/dev/shm"  # noqa: S108 - the folder in it has a name that nobody can know
_PROCESS_LOCKS: list[int] = []  # descriptors of this process's folders: open, and so locked, until it ends


def make_folder(inside: str) -> str:
    """Create a locked folder in the one for temporary files, or in another one that can be written. Raises OSError."""
    name = f"{UNPACKED}{os.urandom(8).hex()}"
    try:
        os.mkdir(f"{inside}/.{name}", 0o700)  # noqa: PTH102 - pathlib and tempfile cost the start 5 ms
    except OSError:
        inside = _another()
        os.mkdir(f"{inside}/.{name}", 0o700)  # noqa: PTH102 - as above
    descriptor = open_folder(f"{inside}/.{name}")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _PROCESS_LOCKS.append(descriptor)
    os.rename(f"{inside}/.{name}", f"{inside}/{name}")  # noqa: PTH104 - it has its name only now that it is locked
    return f"{inside}/{name}"


def _another() -> str:
    """Return the folder for temporary files that Python finds, or the memory that is one in read-only containers."""
    import tempfile

    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return _MEMORY


def is_one(path: str) -> bool:
    """Return whether a path is that of such a folder."""
    return os.path.basename(path).startswith(UNPACKED)  # noqa: PTH119 - compared as text


def sweep(inside: str) -> None:
    """Remove this user's folders that nobody uses any more."""
    import shutil
    from pathlib import Path

    for folder in Path(inside).glob(f"{UNPACKED}*"):
        with suppress(OSError):  # it is used, another user's, no folder, or gone
            descriptor = open_folder(str(folder))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)
