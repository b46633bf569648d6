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
from typing import TYPE_CHECKING

from runner.naming import now
from runner.secrets.redaction import Redactor
from runner.supervisor.backlog import LogBuffer, _is_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK = 64 * 1024  # bytes: what a pipe holds
LONGEST = 256 * 1024  # bytes of a shipped line
_TAIL = 20  # lines that an end quotes of a process that died
_QUOTED = 500  # characters of each
_encode = json.JSONEncoder(ensure_ascii=False).encode  # made once, for millions of lines


class _Stream:
    """One of the two streams: where it goes, its name, and what of it is not passed on or not a whole line yet."""

    def __init__(self, target: int | None, name: str) -> None:
        self.target, self.name = target, name
        self.redactor, self.line = Redactor(), bytearray()
        self.stamp()

    def stamp(self) -> None:
        """Take the time for the lines that come now; ``head`` is what a shipped line begins with."""
        self.head = f'{{"time": "{now()}", "stream": "{self.name}", "message": '.encode()


class OutputReader(threading.Thread):
    """Reads pipes until nobody can write to them any more.

    Args:
        streams: by the descriptor to read from, the one to pass on to, and the name, ``stdout`` or ``stderr``.
        backlog: takes the lines.
    """

    def __init__(self, streams: Mapping[int, tuple[int, str]], backlog: LogBuffer) -> None:
        super().__init__(name="output", daemon=True)
        self._streams = {reader: _Stream(target, name) for reader, (target, name) in streams.items()}
        self._backlog = backlog
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
        data = stream.redactor.feed(data) if data else stream.redactor.rest()
        if stream.target is not None and not _write(stream.target, data):
            stream.target = None  # nobody reads any more
        self.passed += len(data)
        stream.stamp()
        *lines, rest = (bytes(stream.line) + data).split(b"\n")
        for line in lines:
            self._keep(stream, self._cut(stream, line))
        stream.line = bytearray(self._cut(stream, rest))

    def _cut(self, stream: _Stream, line: bytes) -> bytes:
        """Keep the beginning of a line that is too long, and return the rest."""
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
        self._backlog.add(line if _is_entry(line) else _wrapped(line, stream.head, cut=cut))


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
