"""A search for canaries in all that was written, in whatever encoding: a piece of one is enough."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PIECE = 12  # characters: shorter pieces of one may be left at the ends of what is base64 of something longer

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class Search:
    """Counts the pieces of canaries in what was written, place by place."""

    def __init__(self, canaries: Mapping[str, Iterable[str]]) -> None:
        self.pieces = {
            text[start : start + PIECE].encode(): name
            for name, texts in canaries.items()
            for text in texts
            for start in range(len(text) - PIECE + 1)
        }
        self.places = 0
        self.size = 0  # bytes
        self.found: Counter[tuple[str, str]] = Counter()  # by canary and place

    def add(self, place: str, data: bytes) -> None:
        self.places += 1
        self.size += len(data)
        for decoded in self._decodings(place.encode() + b"\n" + data):
            for start in range(len(decoded) - PIECE + 1):
                if name := self.pieces.get(decoded[start : start + PIECE]):
                    self.found[name, place] += 1

    def summary(self, starts: int) -> str:
        """Return how much was searched, and how many canaries were found."""
        seen = len({name for name, _ in self.found})
        return (
            f"{len(set(self.pieces.values()))} canaries, {starts} starts, {self.places} places with "
            f"{self.size:,} bytes searched: {seen} canaries found"
        )

    def _decodings(self, data: bytes) -> Iterator[bytes]:
        """Yield the data as it is, and as it is once URLs, JSON, wrapped lines and base64 are decoded."""
        plain = [data]
        unescaped = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), data)
        plain += [unescaped] if unescaped != data else []
        plain += [text for line in data.splitlines() if (text := _texts(line))]
        for text in plain:
            yield text
            for joined in (text, text.replace(b"\n", b""), text.replace(b"\\n", b"")):
                for run in _BASE64.findall(joined):
                    run = run.translate(bytes.maketrans(b"-_", b"+/"))  # noqa: PLW2901 - the same in the other alphabet
                    for shift in range(4):
                        part = run[shift : shift + (len(run) - shift) // 4 * 4]
                        yield base64.b64decode(part)


def _texts(line: bytes) -> bytes:
    """Return all texts in a line of JSON, one after the other."""
    try:
        value = json.loads(line)
    except ValueError:
        return b""
    return "\n".join(_strings(value)).encode(errors="surrogatepass") if isinstance(value, dict) else b""


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, str):
        yield value
