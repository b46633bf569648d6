"""This user's own files and folders in a place that others may write to, such as the folder for temporary files."""

from __future__ import annotations

import errno
import os

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # which Windows has not, nor the next one


def create_file(folder: str, name: str) -> tuple[int, str]:
    """Return the descriptor and path of a new file, which only this user may read, and whose name nobody could know.

    Raises OSError.
    """
    path = f"{folder}/.{name}.{os.urandom(8).hex()}"
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600), path


def open_folder(path: str) -> int:
    """Return the descriptor of a folder that is this user's: of no link, no pipe, which to open waits, no other's.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK | os.O_NONBLOCK)
    if os.fstat(descriptor).st_uid != os.geteuid():
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "it is another user's", path)
    return descriptor
