"""The supervisor's own log, to its stream and to the log that is shipped."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO

from runner.supervisor.backlog import LogBuffer, printed_entry


class LogTee:
    """Takes what the supervisor itself logs: passes it on, and has it shipped with the rest."""

    def __init__(self, stream: TextIO, buffer: LogBuffer) -> None:
        self._stream, self._buffer = stream, buffer

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream.isatty()

    def write(self, text: str) -> None:
        """Write a line to both."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        for line in text.rstrip("\n").split("\n"):
            self._buffer.add(line.encode(errors="backslashreplace") if line.startswith("{") else printed_entry(line))

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()
