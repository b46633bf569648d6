"""Look into a storage before a run, in a process of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from runner import errors

if TYPE_CHECKING:
    from collections.abc import Callable


def in_forked_process(read: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Read in a child process: obstore's threads would be missing in the flow's process, which is forked later.

    Raises the RunnerError that is raised there, and InternalError for any other.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            told: dict[str, Any] = {"found": read()}
        except errors.RunnerError as error:
            told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        except BaseException as error:  # noqa: BLE001 - it is told where this process is waited for
            told = {"error": "InternalError", "message": f"a bug in runner: {error!r}", "hint": "Please report it."}
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            json.dump(told, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        told = json.loads(file.read() or "{}")
    os.waitpid(child, 0)
    if "found" not in told:
        kind: type[errors.RunnerError] = getattr(errors, told.get("error", "InternalError"))
        raise kind(told.get("message", "the run could not be looked at"), hint=told.get("hint", ""))
    found: dict[str, str] = told["found"]
    return found
