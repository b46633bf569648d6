"""Values that must never be printed, and how they are taken out of a text, and out of a stream of bytes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from runner.secrets.encodings import SHORTEST, encodings_of, quoted
from runner.secrets.matcher import SecretMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
_nothing = SecretMatcher({})
_hidden = _nothing
_changing = threading.Lock()


def hide(*texts: str, lines: Iterable[str] = ()) -> None:
    """Never print these texts again, in none of their forms, however short they are.

    Of ``lines`` of something longer, what is in base64 is looked for only as a part of that.
    """
    global _hidden  # noqa: PLW0603 - it is what this process hides
    values = [*map(encodings_of, texts), *(list(quoted(line)) for line in lines)]
    with _changing:
        _hidden = _hidden.with_more(values)


def redact(text: str) -> str:
    """Give the text with every hidden value replaced by ``***``; one that holds another goes as a whole."""
    for form in _hidden.in_text(text):
        text = text.replace(form, MASK)
    return text


def hides() -> bool:
    """Whether there is anything to hide."""
    return bool(_hidden)


def forget() -> None:
    """Hide nothing any more."""
    global _hidden  # noqa: PLW0603 - as above
    _hidden = _nothing


class Redactor:
    """Redacts a stream of bytes in UTF-8, also where a value is split over two pieces.

    What may be the beginning of one is held back until it is known.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and give what is safe to pass on."""
        hidden = _hidden
        if not hidden:
            return data
        data = self._held + data
        end = hidden.begun_in(data)
        near = hidden.in_bytes(data)
        while crossing := [found for form in near if (found := _crossing(form, data, end)) >= 0]:
            end = min(crossing)
        self._held = data[end:]
        return _masked(data[:end], near)

    def rest(self) -> bytes:
        """Give what is still held, now that nothing follows; most of a value is as secret as all of it."""
        rest, self._held = _masked(self._held, _hidden.in_bytes(self._held)), b""
        begun = _hidden.begun_in(rest)
        return rest[:begun] + MASK.encode() if len(rest) - begun >= SHORTEST else rest


def _masked(data: bytes, forms: list[bytes]) -> bytes:
    for form in forms:
        data = data.replace(form, MASK.encode())
    return data


def _crossing(form: bytes, data: bytes, end: int) -> int:
    """Give where the form stands across a place in the data, -1 if it does not."""
    return data.find(form, max(0, end - len(form) + 1), end + len(form) - 1)
