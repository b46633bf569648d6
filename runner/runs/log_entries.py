"""A log's lines as they are stored, one JSON object each, of which anybody may have written any."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runner.logs import entry_text, text_block
from runner.runs.layout import LOG_END_LOGGER

if TYPE_CHECKING:
    from runner.schema.documents import JsonObject


def read_entry(line: bytes) -> JsonObject:
    """Read a stored line, which may be anything; one that is no object becomes one."""
    try:
        entry = json.loads(line) if line.lstrip().startswith(b"{") else None
    except (ValueError, RecursionError):
        entry = None
    return entry if isinstance(entry, dict) else wrapped_line(line)


def wrapped_line(line: bytes) -> JsonObject:
    """Return a line that is none of a log's as if a flow had printed it."""
    return {"stream": "", "message": line.decode(errors="backslashreplace")}


def ends_log(entry: JsonObject) -> bool:
    """Return whether a line is the one by which the supervisor ends a log; no flow's own has its logger's name."""
    return entry.get("logger") == LOG_END_LOGGER and entry.get("last") is True


def line_text(entry: JsonObject) -> str:
    """Return a stored line as a person reads it: what was printed as it was, a log line as at a terminal."""
    if "stream" in entry:
        return str(entry.get("message", ""))
    source = entry.get("task") or entry.get("logger") or ""
    when, level, message = (entry.get(name, "") for name in ("time", "level", "message"))
    return text_block(entry_text(when, level, source, message, entry.get("exception")))
