"""What is written when the flow's process is gone."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, TextIO

from runner.errors import InternalError, WriteFailed
from runner.supervisor.exit_status import verdict


def end_fields(facts: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an end."""
    error = {"type": end["error"], "message": end["message"]}
    death = {"death": end["death"]} if "death" in end else {}
    return {**facts, "state": end["state"], "exit_code": end["code"], "error": error, "tasks": [], **death}


def verdict_of_child(last: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Give the child's own last word, with the state in which that leaves an attempt that has no end yet."""
    if last["code"] == 0 and told.get("claim"):  # a flow garbled what was told, so the storage is asked
        return verdict("crashed", InternalError.code, "InternalError", "it is not known how the run ended")
    crashed = "began" in told or last["code"] in {InternalError.code, WriteFailed.code}
    return {"state": "crashed" if crashed else "refused", **last}


def discard_output(log_to: TextIO) -> None:
    """Give up what could not be written: a reader that went away must not change the exit code when Python flushes."""
    try:
        log_to.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), log_to.fileno())
