"""Paths of a folder's storage that must stay inside it, and a warning of others who may write there."""

from __future__ import annotations

import os
import stat

from runner.errors import Denied, NotFound

_PROCESS_CHECKED_ROOTS: set[str] = set()  # each is warned of once


def inside(root: str, path: str) -> str:
    """Return the path, unless links lead it out of the root; links to places inside are followed.

    Whoever may exchange folders for links meanwhile is not stopped: such a person has the rights of the folder's
    owner. Raises Denied.
    """
    real, home = os.path.realpath(path), os.path.realpath(root)
    if real != home and not real.startswith(home.rstrip(os.sep) + os.sep):
        message = f"{path} is a link that leads out of {root}"
        raise Denied(
            message, hint="A storage's files lie in its folder: copy the file there, or name the folder it is in."
        )
    return path


def plain_file(path: str) -> str:
    """Return the path, unless something lies there that is neither a file nor a folder: to open a pipe waits for ever.

    Raises NotFound.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return path  # whoever opens it gets the error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise NotFound(f"{path} is no plain file", hint="Remove it: nothing of runner's makes such things.")
    return path


def warn_of_writers(root: str) -> None:
    """Warn, once in this process, if everybody on this machine may put into the root what a run would then trust."""
    if root in _PROCESS_CHECKED_ROOTS:
        return
    _PROCESS_CHECKED_ROOTS.add(root)
    try:
        mode = os.stat(root).st_mode
    except OSError:
        return
    if os.name == "posix" and mode & stat.S_IWOTH:
        import logging

        message = (
            "everybody on this machine can write to %r, and so decide what a run executes: chmod o-w, or trust keys"
        )
        logging.getLogger("runner.storage").warning(message, root)
