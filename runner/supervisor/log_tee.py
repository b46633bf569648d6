"""The supervisor's own log, to its stream and to the log that is shipped."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from runner.supervisor.backlog import LogBuffer, log_entry


class LogTee:
    """Takes what the supervisor itself logs: passes it on, and has it shipped with the rest."""

    def __init__(self, stream: TextIO, backlog: LogBuffer) -> None:
        self._stream, self._backlog = stream, backlog

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def write(self, text: str) -> None:
        """Write a line to both."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        line = text.rstrip("\n")
        self._backlog.add(line.encode(errors="backslashreplace") if line.startswith("{") else log_entry(line))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
