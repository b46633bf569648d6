"""Descriptions of exceptions: type, message, and a traceback that starts at the user's code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from runner.naming import UNPACKED
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType, TracebackType

    from runner.schema.documents import TaskErrorRecord


_OURS = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120 - pathlib costs the start 5 ms
INSTALLED = {"site-packages", "dist-packages"}  # the names of folders in which packages are installed
_LONGEST = 20_000  # characters: a message's beginning, and a traceback's end with its innermost frames


def describe_exception(error: BaseException) -> TaskErrorRecord:
    """Describe an exception for a document: ``type``, ``message`` and ``traceback``, with no secret in them."""
    try:
        message = f"the task called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    except Exception as worse:  # noqa: BLE001 - the user's own __str__
        message = f"its message cannot be told: {type(worse).__name__}"
    text = "".join(traceback.format_exception(type(error), error, strip_runner_frames(error.__traceback__)))
    return {
        "type": type_name(type(error)),
        "message": redact(message)[:_LONGEST],
        "traceback": redact(text)[-_LONGEST:],
    }


def strip_runner_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the user's code on, without the frames of runner, and of asyncio, that called it."""
    while trace is not None and _is_runner_frame(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def authors_line(trace: TracebackType | None) -> str | None:
    """Return the innermost line of an author's that a traceback passes: ``helper.py, line 3``; None if none does.

    An author's are all files that lie neither in Python's own folders nor among what is installed. Of a module that
    travelled in a bundle the path below the folder is told that it was unpacked to.
    """
    return _innermost_line(reversed([*traceback.walk_tb(trace)]))


def calling_line() -> str | None:
    """Return the innermost line of an author's that calls now, as `authors_line` does."""
    return _innermost_line(traceback.walk_stack(sys._getframe(1)))  # noqa: SLF001 - the only way to know who calls


def _innermost_line(frames: Iterable[tuple[FrameType, int]]) -> str | None:
    """Return the first line of an author's of frames, the innermost of which come first."""
    from pathlib import Path  # where something went wrong, and time no longer counts

    standard = Path(os.__file__).resolve().parent
    for frame, number in frames:
        path = Path(frame.f_code.co_filename)
        is_standard = path.resolve().is_relative_to(standard) or str(path).startswith((_OURS, "<"))
        if not is_standard and not INSTALLED & set(path.parts):
            below = [part.startswith(UNPACKED) for part in path.parts]
            shown = Path(*path.parts[below.index(True) + 1 :]) if True in below else path
            return f"{shown}, line {number}"
    return None


def type_name(kind: type) -> str:
    """Return a type's name as a person writes it, with no secret in it: ``ValueError``, ``pandas.DataFrame``."""
    return redact(kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}")


def _is_runner_frame(filename: str) -> bool:
    return filename.startswith(_OURS) or os.path.basename(os.path.dirname(filename)) == "asyncio"  # noqa: PTH119, PTH120 - as above
