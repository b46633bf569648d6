"""All that is hidden, so arranged that what is not in a text costs little: the log of a flow is mostly that.

Each form of a value has a piece, its probe, that other forms of that value share: where it is missing, so are they.
Most probes are longer than any word of a usual log, and are looked for only where there are such words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, AnyStr

from runner.secrets.encodings import SHORTEST, encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

BEGINS = 8  # bytes by which it is seen whether a form may begin
_PROBE = 24  # characters at the most
_RUN = re.compile(r"[A-Za-z0-9]+")
_WORD = 16  # letters and digits
_SHAPE = bytes(ord("a") if byte < 128 and chr(byte).isalnum() else ord(" ") for byte in range(256))  # noqa: PLR2004 - ASCII
_LONG_WORD = b"a" * _WORD


class SecretMatcher:
    """The forms of all hidden values; it never changes, as threads look at it while others hide more."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        """Take the forms, each with its probe."""
        self.forms = forms
        self._texts: dict[str, list[str]] = {}
        self._bytes: dict[bytes, list[bytes]] = {}
        # the forms in bytes, by their first ones, and all shorter beginnings of a form
        self._beginnings: dict[bytes, list[bytes]] = {}
        self._short_beginnings: set[bytes] = set()
        for form, probe in forms.items():
            raw = encoded(form)
            self._texts.setdefault(probe, []).append(form)
            self._bytes.setdefault(encoded(probe), []).append(raw)
            self._beginnings.setdefault(raw[:BEGINS], []).append(raw)
            self._short_beginnings.update(raw[:end] for end in range(1, min(BEGINS, len(raw))))
        for alike in self._beginnings.values():
            alike.sort(key=len, reverse=True)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.forms)

    def with_more(self, values: Iterable[Iterable[str]]) -> SecretMatcher:
        """Give this with more values, each by its forms."""
        more = dict(self.forms)
        for forms in values:
            probes: list[str] = []
            for form in filter(None, forms):
                probe = next((each for each in probes if each in form), None)
                if probe is None:
                    probe = _probe(form)
                    probes.append(probe)
                more.setdefault(form, probe)
        return self if len(more) == len(self.forms) else SecretMatcher(more)

    def in_text(self, text: str) -> list[str]:
        """Give what may stand in a text, the longest first."""
        return _near(self._texts, text.__contains__)

    def in_bytes(self, data: bytes) -> list[bytes]:
        """Give what may stand in some bytes, the longest first."""
        long = _long_words(data)
        return _near(self._bytes, lambda probe: probe in (long if len(probe) >= _WORD and probe.isalnum() else data))

    def begun_in(self, data: bytes) -> int:
        """Give where a form may have begun, of which the data has not yet the end; without one the data's length."""
        size = first = len(data)
        for begins, forms in self._beginnings.items():
            start = data.find(begins, max(0, size - len(forms[0]) + 1))
            while 0 <= start < first:
                if any(len(form) > size - start and form.startswith(data[start:]) for form in forms):
                    first = start
                    break
                start = data.find(begins, start + 1)
        short = range(max(0, size - BEGINS + 1), first)
        return next((start for start in short if data[start:] in self._short_beginnings), first)


def _probe(form: str) -> str:
    """Give a piece of a form that is found fast, and that is likely to be in other forms of the same text, too."""
    longest = max(_RUN.findall(form), key=len, default="")
    return longest[:_PROBE] if len(longest) >= SHORTEST // 2 else form


def _near(by_probe: dict[AnyStr, list[AnyStr]], found: Callable[[AnyStr], bool]) -> list[AnyStr]:
    near = {form for probe, forms in by_probe.items() if found(probe) for form in forms}
    return sorted(near, key=len, reverse=True)


def _long_words(data: bytes) -> bytes:
    """Give the words of the data that can hold a long probe."""
    shape = data.translate(_SHAPE)
    words = []
    start = shape.find(_LONG_WORD)
    while start >= 0:
        end = shape.find(b" ", start)
        end = len(shape) if end < 0 else end
        words.append(data[start:end])
        start = shape.find(_LONG_WORD, end)
    return b" ".join(words)
