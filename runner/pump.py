"""What the flow's processes write: passed on as it comes, redacted, and kept as lines until they are shipped.

A shipped line is one JSON object: a line of the log as it stands, anything else as ``time``, ``stream`` and
``message`` (with ``"cut": true`` where a line is longer than `LONGEST` and goes on in the next one).
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.records import now
from runner.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 64 * 1024  # bytes: what a pipe holds
LONGEST = 256 * 1024  # bytes of a shipped line
LIMIT = 2 * 1024 * 1024  # bytes that wait to be shipped; then what writes has to wait
ENDING = "runner.pump"  # the logger of the lines that are only shipped
_TAIL = 20  # lines that an end quotes of a process that died
_QUOTED = 500  # characters of each


class Backlog:
    """Lines that wait to be shipped, in order.

    Whoever adds one waits while it is full, but only as long as somebody takes them: until then, and while shipping
    fails, what comes is counted instead, and told of where it is missing.
    """

    def __init__(self) -> None:
        """Begin empty, with nobody who takes lines."""
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
                self._append(entry(f"{self._missing} lines are missing here: they could not be shipped in time"))
                self._missing = 0
            self._append(line)

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > LIMIT // 2:
            self._changed.notify_all()

    def ship(self, *, works: bool) -> None:
        """Say that lines are taken from now on, or that this fails at the moment."""
        with self._changed:
            self.is_shipped = works
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until half of the room is used, for so long at the most; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._size > LIMIT // 2, seconds)
            return not self._closed

    def take(self) -> bytes:
        """Take about half of what may wait, 1 MB; nothing when it is empty."""
        taken = bytearray()
        with self._changed:
            while self._lines and len(taken) < LIMIT // 2:
                line = self._lines.popleft()
                self._size -= len(line) + 1
                taken += line + b"\n"
            self._changed.notify_all()
        return bytes(taken)

    def close(self) -> None:
        """Let nobody wait any more; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass
class _Stream:
    """One of the two streams: where it goes, its name, and what of it is not passed on or not a whole line yet."""

    target: int | None
    name: str
    redactor: Redactor = field(default_factory=Redactor)
    line: bytearray = field(default_factory=bytearray)


class Pump(threading.Thread):
    """Reads pipes until nobody can write to them any more.

    Args:
        streams: by the descriptor to read from, the one to pass on to, and the name, ``stdout`` or ``stderr``.
        backlog: takes the lines.
    """

    def __init__(self, streams: Mapping[int, tuple[int, str]], backlog: Backlog) -> None:
        """See the class."""
        super().__init__(name="pump", daemon=True)
        self._streams = {reader: _Stream(target, name) for reader, (target, name) in streams.items()}
        self._backlog = backlog
        self.tail: deque[str] = deque(maxlen=_TAIL)  # the last lines, shortened
        self.passed = 0  # bytes

    def run(self) -> None:
        """See the class."""
        poll = select.poll()
        for reader in self._streams:
            poll.register(reader, select.POLLIN)
        left = len(self._streams)
        while left:
            for reader, _ in poll.poll():
                data = os.read(reader, CHUNK)
                self._pass(self._streams[reader], data)
                if not data:
                    poll.unregister(reader)
                    left -= 1

    def _pass(self, stream: _Stream, data: bytes) -> None:
        """Pass on, and keep, what can no longer be the beginning of a secret; no data is the end."""
        data = stream.redactor.feed(data) if data else stream.redactor.rest()
        if stream.target is not None and not _write(stream.target, data):
            stream.target = None  # nobody reads any more
        self.passed += len(data)
        *lines, rest = (bytes(stream.line) + data).split(b"\n")
        for line in lines:
            self._keep(stream, self._cut(stream, line))
        stream.line = bytearray(self._cut(stream, rest))

    def _cut(self, stream: _Stream, line: bytes) -> bytes:
        """Keep the beginning of a line that is too long, and give the rest."""
        while len(line) > LONGEST:
            self._keep(stream, line[:LONGEST], cut=True)
            line = line[LONGEST:]
        return line

    def finish(self) -> None:
        """Keep the lines that were never ended, once all was read."""
        for stream in self._streams.values():
            if stream.line:
                self._keep(stream, bytes(stream.line))

    def _keep(self, stream: _Stream, line: bytes, *, cut: bool = False) -> None:
        self.tail.append(line[:_QUOTED].decode(errors="backslashreplace"))
        self._backlog.add(line if _is_entry(line) else _wrapped(line, stream.name, cut=cut))


def entry(message: str, **fields: object) -> bytes:
    """Make a line of the supervisor's own that is only shipped."""
    return json.dumps({"time": now(), "level": "INFO", "logger": ENDING, "message": message, **fields}).encode()


def _is_entry(line: bytes) -> bool:
    """Whether a line is one of the log; any other JSON is what a flow printed."""
    if not line.startswith(b"{"):
        return False
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= {"time", "level", "logger", "message"}


def _wrapped(line: bytes, name: str, *, cut: bool) -> bytes:
    fields = {"time": now(), "stream": name, "message": line.rstrip(b"\r").decode(errors="backslashreplace")}
    return json.dumps(fields | ({"cut": True} if cut else {}), ensure_ascii=False).encode()


def _write(target: int, data: bytes) -> bool:
    """Write all of it, also where that does not wait by itself; False if it cannot be written."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            select.select([], [target], [])
        except OSError:
            return False
    return True
