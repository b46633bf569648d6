"""A large document looked through piece by piece, so that one that is useless is refused before all of it is in memory.

What a few bytes of JSON become is up to forty times as large. Only an end is long because it has to be: it has an entry
for each task and element, all else of a document is small.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, Final

from runner.limits import MOST_PARTS, parts_in

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL: Final = 4 * 1024 * 1024  # bytes: of a document up to this size only the parts are counted
_PIECE = 1024 * 1024  # bytes: no part of runner's that is no list of entries is as long
_DENSE = 50_000  # parts that one may have
_ENTRY = 20  # marks of parts in an entry, for which nothing is counted
_MEMBER = 400  # parts for which a member of the document counts, of which it has twenty
_SPACE = re.compile(r"[ \t\n\r]*")


def is_large(data: bytes) -> bool:
    """Return whether a document has to be looked through before it is read."""
    return len(data) > SMALL or parts_in(data) > MOST_PARTS


def outline(data: bytes, entries: str, violation: Callable[[Any], str]) -> dict[str, object]:
    """Return a document without the entries of its list of that name, each of which was seen to be sound.

    Raises ValueError for what is no document, has an entry that is not sound, or more parts than a sound one has.
    """
    return _Reader(data).document(entries, violation)


class _Reader:
    """Goes through a document; ``text`` is what was decoded of it and not passed yet, from ``place`` on."""

    def __init__(self, data: bytes) -> None:
        self.data, self.read = memoryview(data), 0
        self.decode_bytes = codecs.getincrementaldecoder("utf-8")().decode  # a piece may end inside a character
        self.text, self.place = "", 0
        self.left = MOST_PARTS
        self.decode = json.JSONDecoder().raw_decode

    def document(self, entries: str, violation: Callable[[Any], str]) -> dict[str, object]:
        found: dict[str, object] = {}
        for _ in self._parts("{", "}"):
            name = self._value()
            self.left -= _MEMBER
            self._expect(":")
            if name == entries and self._next() == "[":
                for number, _ in enumerate(self._parts("[", "]")):
                    if fault := violation(self._value(free=_ENTRY)):
                        raise ValueError(f"entry {number} has no {fault} as runner writes it")
                found[name] = []
            else:
                found[name] = self._value()
        if self._next():
            raise ValueError("something follows the document")
        return found

    def _parts(self, begin: str, end: str) -> Any:
        """Yield as often as there is another part, with what stands between them passed."""
        self._expect(begin)
        if self._next() == end:
            self.place += 1
            return
        while True:
            yield None
            if self._next() == end:
                self.place += 1
                return
            self._expect(",")

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise ValueError(f"{character!r} is missing")
        self.place += 1

    def _next(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            self.place = _SPACE.match(self.text, self.place).end()  # type: ignore[union-attr]  # no space at all matches too
            if self.place < len(self.text):
                return self.text[self.place]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Decode some more; False at the end."""
        piece = self.data[self.read : self.read + _PIECE]
        self.read += len(piece)
        more = self.decode_bytes(piece, self.read == len(self.data))
        self.text, self.place = self.text[self.place :] + more, 0
        return bool(piece)

    def _value(self, free: int = 0) -> Any:
        """Return the next value. Raises ValueError for one that is larger than any of runner's."""
        self._next()
        while True:
            try:
                value, end = self.decode(self.text, self.place)
            except (ValueError, StopIteration) as error:
                rest = self.text[self.place :]
                if len(rest) > _PIECE or parts_in(rest.encode(errors="replace")) > _DENSE or not self._fill():
                    raise ValueError("a part is no JSON, or larger than any of runner's") from error
                continue
            if end == len(self.text) and self._fill():  # a number may go on
                continue
            if not free or sum(self.text.count(mark, self.place, end) for mark in ",[{") > free:
                self.left -= _count(value)
            if self.left < 0:
                raise ValueError("it has more parts than any of runner's")
            self.place = end
            return value


def _count(value: Any) -> int:
    """Return how many values a value has, itself among them."""
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1
