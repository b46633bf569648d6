"""What the flow's processes write: passed on as it comes, redacted, and kept as lines until they are shipped.

A shipped line is one JSON object: a line of the log as it stands, anything else as ``time``, ``stream`` and
``message`` (with ``"cut": true`` where a line is longer than `LONGEST` and goes on in the next one). Which it is does
not depend on what it says: a line of the log begins with a mark that only the flow's process was given.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING

from runner.naming import now
from runner.secrets.redaction import Redactor
from runner.supervisor.backlog import LogBuffer, is_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 64 * 1024  # bytes: what a pipe holds
LONGEST = 256 * 1024  # bytes of a shipped line
_TAIL = 20  # lines that an end quotes of a process that died
_QUOTED = 500  # characters of each
_encode = json.JSONEncoder(ensure_ascii=False).encode  # made once, for millions of lines
_MARK_BEGINS = b"\x1e"


def new_mark() -> bytes:
    """Return what nobody can guess, and so nobody print, who was not given it."""
    return _MARK_BEGINS + os.urandom(16).hex().encode()


class _Stream:
    """One of the two streams: where it goes, its name, and what of it is not passed on or not a whole line yet."""

    def __init__(self, target: int | None, name: str) -> None:
        self.target, self.name = target, name
        self.redactor, self.line = Redactor(), bytearray()
        self.held = b""  # perhaps the beginning of a mark
        self.stamp()

    def stamp(self) -> None:
        """Take the time for the lines that come now; ``head`` is what a shipped line begins with."""
        self.head = f'{{"time": "{now()}", "stream": "{self.name}", "message": '.encode()


class OutputReader(threading.Thread):
    """Reads pipes until nobody can write to them any more.

    Args:
        streams: by the descriptor to read from, the one to pass on to, and the name, ``stdout`` or ``stderr``.
        buffer: takes the lines.
        mark: what stands before a line of the log; it is taken off.
    """

    def __init__(self, streams: Mapping[int, tuple[int, str]], buffer: LogBuffer, mark: bytes) -> None:
        super().__init__(name="output", daemon=True)
        self._streams = {reader: _Stream(target, name) for reader, (target, name) in streams.items()}
        self._buffer, self._mark = buffer, mark
        self.tail: deque[str] = deque(maxlen=_TAIL)  # the last lines, shortened
        self.passed = 0  # bytes

    def run(self) -> None:
        """Read until nobody can write any more."""
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
        is_end = not data
        data = stream.redactor.rest() if is_end else stream.redactor.feed(data)
        if stream.target is not None and not _write(stream.target, self._unmarked(stream, data, is_end=is_end)):
            stream.target = None  # nobody reads any more
        self.passed += len(data)
        stream.stamp()
        *lines, rest = (bytes(stream.line) + data).split(b"\n")
        for line in lines:
            self._keep(stream, self._cut(stream, line))
        stream.line = bytearray(self._cut(stream, rest))

    def _unmarked(self, stream: _Stream, data: bytes, *, is_end: bool) -> bytes:
        """Return data without marks; what may be the beginning of one is held back until more has come."""
        data = (stream.held + data).replace(self._mark, b"")
        begins = data.rfind(_MARK_BEGINS, max(0, len(data) - len(self._mark)))
        if is_end or begins < 0 or not self._mark.startswith(data[begins:]):
            begins = len(data)
        stream.held = data[begins:]
        return data[:begins]

    def _cut(self, stream: _Stream, line: bytes) -> bytes:
        """Keep the beginning of a line that is too long, and return the rest; no mark is cut in two."""
        while len(line) > LONGEST:
            end = line.find(self._mark, 1, LONGEST)
            if end < 0:  # perhaps one begins at the end
                end = line.find(_MARK_BEGINS, LONGEST - len(self._mark), LONGEST)
            end = LONGEST if end < 0 else end
            self._keep(stream, line[:end], cut=True)
            line = line[end:]
        return line

    def finish(self) -> None:
        """Keep the lines that were never ended, once all was read."""
        for stream in self._streams.values():
            if stream.line:
                self._keep(stream, bytes(stream.line))

    def _keep(self, stream: _Stream, line: bytes, *, cut: bool = False) -> None:
        printed, mark, logged = line.partition(self._mark)
        if printed or not mark:
            self._add(printed, _wrapped(printed, stream.head, cut=cut and not mark))
        if mark:
            logged = logged.replace(self._mark, b"")  # two processes wrote at once
            self._add(logged, logged if is_entry(logged) else _wrapped(logged, stream.head, cut=cut))

    def _add(self, line: bytes, shipped: bytes) -> None:
        self.tail.append(line[:_QUOTED].decode(errors="backslashreplace"))
        self._buffer.add(shipped)


def _wrapped(line: bytes, head: bytes, *, cut: bool) -> bytes:
    message = _encode(line.rstrip(b"\r").decode(errors="backslashreplace"))
    return head + message.encode() + (b', "cut": true}' if cut else b"}")


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
