"""An index of secret values and their encodings, which passes over text without secrets cheaply: most of a log is that.

A text is looked at as numbers of eight bytes, one after the other. Of each encoding eight such numbers are known, one
of which is there wherever in the text it begins; of what is shorter than 15 bytes, four of four. So a look costs the
same for one secret as for hundreds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.secrets.encodings import to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_START = 8  # bytes by which an encoding's possible beginning is recognised
_WIDTHS = {"Q": 8, "I": 4, "B": 1}  # bytes of a number, by its code in the standard library


class SecretMatcher:
    """All encodings of all secret values; immutable, as threads read it while others add values to a copy."""

    def __init__(self, encodings: Mapping[str, bytes], indexes: Mapping[str, Mapping[int, tuple[str, ...]]]) -> None:
        """Take all encodings, with their bytes, and the encodings by the numbers in their first bytes."""
        self.encodings = encodings
        self._indexes = indexes
        self._starts: _Starts | None = None

    def __bool__(self) -> bool:
        """Return whether there is any value."""
        return bool(self.encodings)

    def with_values(self, values: Iterable[Iterable[str]]) -> SecretMatcher:
        """Return a matcher that has more values, each given as its encodings."""
        more = {each: to_bytes(each) for value in values for each in value if each and each not in self.encodings}
        indexes = {code: dict(self._indexes.get(code, {})) for code in _WIDTHS}
        for encoding, raw in more.items():
            code, width = next((code, width) for code, width in _WIDTHS.items() if len(raw) >= 2 * width - 1)
            index = indexes[code]
            for start in range(width):
                number = int.from_bytes(raw[start : start + width], sys.byteorder)
                index[number] = (*index.get(number, ()), encoding)
        return SecretMatcher({**self.encodings, **more}, indexes) if more else self

    def candidates(self, data: bytes) -> list[str]:
        """Return the encodings that a text, given in UTF-8, may contain, the longest first."""
        found: set[str] = set()
        for code, index in self._indexes.items():
            if index:
                whole = memoryview(data)[: len(data) // _WIDTHS[code] * _WIDTHS[code]]
                numbers = whole.cast(code)  # type: ignore[call-overload] # typeshed lists the codes one by one
                if not index.keys().isdisjoint(numbers):
                    found.update(*(index[number] for number in numbers if number in index))
        return sorted(found, key=len, reverse=True)

    def possible_start(self, data: bytes) -> int:
        """Return where an encoding may begin that the data ends before the end of; without one the data's length."""
        if self._starts is None:
            self._starts = _Starts([*self.encodings.values()])
        return self._starts.first(data)


class _Starts:
    """The beginnings of all encodings."""

    def __init__(self, encodings: Iterable[bytes]) -> None:
        self._encodings = encodings
        self._by_last_byte: dict[int, tuple[dict[bytes, list[bytes]], set[bytes]]] = {}

    def first(self, data: bytes) -> int:
        """See `SecretMatcher.possible_start`."""
        size = first = len(data)
        if not size:
            return 0
        last = data[-1]
        by_start, short_starts = self._by_last_byte.get(last) or self._that_may_be_cut_after(last)
        for beginning, alike in by_start.items():
            start = data.find(beginning, max(0, size - len(alike[0]) + 1))
            while 0 <= start < first:
                if any(len(each) > size - start and each.startswith(data[start:]) for each in alike):
                    first = start
                    break
                start = data.find(beginning, start + 1)
        if not short_starts:
            return first
        short = range(max(0, size - _START + 1), first)
        return next((start for start in short if data[start:] in short_starts), first)

    def _that_may_be_cut_after(self, last: int) -> tuple[dict[bytes, list[bytes]], set[bytes]]:
        """Return the encodings with this byte by their first ones, and all shorter beginnings that end with it.

        Most pieces of a stream are whole lines, and few encodings have a newline in them.
        """
        ending = bytes((last,))
        by_start: dict[bytes, list[bytes]] = {}
        short_starts: set[bytes] = set()
        for raw in self._encodings:
            if ending in raw:
                by_start.setdefault(raw[:_START], []).append(raw)
                beginnings = (raw[:end] for end in range(1, min(_START, len(raw))))
                short_starts.update(each for each in beginnings if each[-1] == last)
        for alike in by_start.values():
            alike.sort(key=len, reverse=True)
        self._by_last_byte[last] = by_start, short_starts
        return by_start, short_starts
