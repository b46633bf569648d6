"""Descriptions of exceptions: type, message, and a traceback that starts at the user's code."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from types import TracebackType

    from runner.schema.documents import TaskErrorRecord


_OURS = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120 - pathlib costs the start 5 ms
_LONGEST = 20_000  # characters: a message's beginning, and a traceback's end with its innermost frames


def describe_exception(error: BaseException) -> TaskErrorRecord:
    """Describe an exception for a document: ``type``, ``message`` and ``traceback``, with no secret in them."""
    try:
        message = f"the task called sys.exit({error.code!r})" if isinstance(error, SystemExit) else str(error)
    except Exception as worse:  # noqa: BLE001 - the user's own __str__
        message = f"its message cannot be told: {type(worse).__name__}"
    text = "".join(traceback.format_exception(type(error), error, strip_runner_frames(error.__traceback__)))
    return {
        "type": redact(type_name(type(error))),
        "message": redact(message)[:_LONGEST],
        "traceback": redact(text)[-_LONGEST:],
    }


def strip_runner_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the user's code on, without the frames of runner, and of asyncio, that called it."""
    while trace is not None and _is_runner_frame(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def type_name(kind: type) -> str:
    """Return a type's name as a person writes it: ``ValueError``, ``pandas.core.frame.DataFrame``."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_runner_frame(filename: str) -> bool:
    return filename.startswith(_OURS) or os.path.basename(os.path.dirname(filename)) == "asyncio"  # noqa: PTH119, PTH120 - as above
