"""An index of secret values and their encodings, which passes over text without secrets cheaply: most of a log is that.

Each encoding of a value has a probe, a piece that other encodings of that value share: where the probe is missing, so
are they. Most probes are longer than any word of a usual log, and are looked for only where there are such words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, AnyStr

from runner.secrets.encodings import SHORTEST, to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_START = 8  # bytes by which an encoding's possible beginning is recognised
_LONGEST_PROBE = 24  # characters
_ALPHANUMERIC = re.compile(r"[A-Za-z0-9]+")
_LONG = 16  # letters and digits of a long word
_SHAPE = bytes(ord("a") if byte < 128 and chr(byte).isalnum() else ord(" ") for byte in range(256))  # noqa: PLR2004 - ASCII
_LONG_WORD = b"a" * _LONG


class SecretMatcher:
    """All encodings of all secret values; immutable, as threads read it while others add values to a copy."""

    def __init__(self, probes: Mapping[str, str]) -> None:
        """Index the encodings, each with its probe."""
        self.probes = probes
        self._texts: dict[str, list[str]] = {}
        self._bytes: dict[bytes, list[bytes]] = {}
        # the encodings in bytes by their first ones, and all shorter beginnings of one
        self._by_start: dict[bytes, list[bytes]] = {}
        self._short_starts: set[bytes] = set()
        for encoding, probe in probes.items():
            raw = to_bytes(encoding)
            self._texts.setdefault(probe, []).append(encoding)
            self._bytes.setdefault(to_bytes(probe), []).append(raw)
            self._by_start.setdefault(raw[:_START], []).append(raw)
            self._short_starts.update(raw[:end] for end in range(1, min(_START, len(raw))))
        for alike in self._by_start.values():
            alike.sort(key=len, reverse=True)

    def __bool__(self) -> bool:
        """Return whether there is any value."""
        return bool(self.probes)

    def with_values(self, values: Iterable[Iterable[str]]) -> SecretMatcher:
        """Return a matcher that has more values, each given as its encodings."""
        more = dict(self.probes)
        for encodings in values:
            probes: list[str] = []
            for encoding in filter(None, encodings):
                probe = next((each for each in probes if each in encoding), None)
                if probe is None:
                    probe = _probe_of(encoding)
                    probes.append(probe)
                more.setdefault(encoding, probe)
        return self if len(more) == len(self.probes) else SecretMatcher(more)

    def text_candidates(self, text: str) -> list[str]:
        """Return the encodings that a text may contain, the longest first."""
        return _candidates(self._texts, text.__contains__)

    def byte_candidates(self, data: bytes) -> list[bytes]:
        """Return the encodings that some bytes may contain, the longest first."""
        long = _long_words(data)
        return _candidates(
            self._bytes, lambda probe: probe in (long if len(probe) >= _LONG and probe.isalnum() else data)
        )

    def possible_start(self, data: bytes) -> int:
        """Return where an encoding may begin that the data ends before the end of; without one the data's length."""
        size = first = len(data)
        for beginning, encodings in self._by_start.items():
            start = data.find(beginning, max(0, size - len(encodings[0]) + 1))
            while 0 <= start < first:
                if any(len(each) > size - start and each.startswith(data[start:]) for each in encodings):
                    first = start
                    break
                start = data.find(beginning, start + 1)
        short = range(max(0, size - _START + 1), first)
        return next((start for start in short if data[start:] in self._short_starts), first)


def _probe_of(encoding: str) -> str:
    """Return a piece of an encoding that is found fast, and is likely to be in other encodings of the same text."""
    longest = max(_ALPHANUMERIC.findall(encoding), key=len, default="")
    return longest[:_LONGEST_PROBE] if len(longest) >= SHORTEST // 2 else encoding


def _candidates(by_probe: dict[AnyStr, list[AnyStr]], has: Callable[[AnyStr], bool]) -> list[AnyStr]:
    found = {encoding for probe, encodings in by_probe.items() if has(probe) for encoding in encodings}
    return sorted(found, key=len, reverse=True)


def _long_words(data: bytes) -> bytes:
    """Return the words of the data that are long enough to contain a long probe."""
    shape = data.translate(_SHAPE)
    words = []
    start = shape.find(_LONG_WORD)
    while start >= 0:
        end = shape.find(b" ", start)
        end = len(shape) if end < 0 else end
        words.append(data[start:end])
        start = shape.find(_LONG_WORD, end)
    return b" ".join(words)
