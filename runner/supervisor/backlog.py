"""Lines of the log that wait to be shipped."""

from __future__ import annotations

import json
import threading
from collections import deque

from runner.naming import now
from runner.runs.layout import LOG_END_LOGGER

LIMIT = 2 * 1024 * 1024  # bytes that wait to be shipped; then what writes has to wait


class LogBuffer:
    """Lines that wait to be shipped, in order.

    Whoever adds one waits while it is full, but only as long as somebody takes them: until then, and while shipping
    fails, what comes is counted instead, and told of where it is missing.
    """

    def __init__(self) -> None:
        """Create an empty buffer without a consumer."""
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._missing = 0
        self._changed = threading.Condition()
        self._closed = self.is_shipped = False

    def add(self, line: bytes) -> None:
        """Add a line, without its end."""
        with self._changed:
            while self.is_shipped and self._size > LIMIT and not self._closed:
                self._changed.wait()
            if self._size > LIMIT:
                self._missing += 1
                return
            if self._missing:
                self._append(log_entry(f"{self._missing} lines are missing here: they could not be shipped in time"))
                self._missing = 0
            self._append(line)

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > LIMIT // 2:
            self._changed.notify_all()

    def set_shipping(self, *, works: bool) -> None:
        """Record whether lines are shipped from now on, or this fails at the moment."""
        with self._changed:
            self.is_shipped = works
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until half of the room is used, for so long at the most; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._size > LIMIT // 2, seconds)
            return not self._closed

    def take(self) -> bytes:
        """Remove and return about half of what may wait, 1 MB; nothing when it is empty."""
        taken = bytearray()
        with self._changed:
            while self._lines and len(taken) < LIMIT // 2:
                line = self._lines.popleft()
                self._size -= len(line) + 1
                taken += line + b"\n"
            self._changed.notify_all()
        return bytes(taken)

    def close(self) -> None:
        """Wake up whoever waits; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def printed_entry(line: str) -> bytes:
    """Return a line of text as it is stored: like those of the flow's process, where the log's format is text."""
    return json.dumps({"time": now(), "stream": "stdout", "message": line}).encode()


def log_entry(message: str, **fields: object) -> bytes:
    """Return a line of the supervisor's own that is only shipped."""
    return json.dumps({"time": now(), "level": "INFO", "logger": LOG_END_LOGGER, "message": message, **fields}).encode()


def is_entry(line: bytes) -> bool:
    """Return whether a line of the log is whole: another process may have written into it."""
    if not line.startswith(b"{"):
        return False
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= {"time", "level", "logger", "message"}
