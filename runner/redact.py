"""Values that must never be printed, and how they are taken out of a text."""

from __future__ import annotations

import json

MASK = "***"
SHORTEST_LEAF = 4  # a shorter word inside a JSON secret ("eu", "on") would blank out half a log and protects nothing

_hidden: list[str] = []


def hide(value: object) -> None:
    """Never print this value again: a text as a whole, an object or array by every text in it.

    Each is also hidden in the forms in which it stands inside a JSON string and a Python literal.
    """
    for text in {value} if isinstance(value, str) else _leaves(value):
        for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]):
            if form and form not in _hidden:
                _hidden.append(form)
    _hidden.sort(key=len, reverse=True)  # a secret that holds another one goes as a whole


def redact(text: str) -> str:
    """Give the text with every hidden value replaced by ``***``."""
    for value in _hidden:
        if value in text:
            text = text.replace(value, MASK)
    return text


def hides() -> bool:
    """Whether there is anything to hide."""
    return bool(_hidden)


def forget() -> None:
    """Hide nothing any more."""
    _hidden.clear()


def _leaves(value: object) -> set[str]:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return {str(value)} if len(str(value)) >= SHORTEST_LEAF else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(_leaves(part) for part in parts))


class Redactor:
    """Redacts a stream of bytes in UTF-8, also where a value is split over two pieces.

    What may be the beginning of one is held back until it is known.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and give what is safe to pass on."""
        if not _hidden:
            return data
        data = self._held + data
        values = _hidden_bytes()
        end = min(_beginning(value, data) for value in values)
        while crossing := [found for value in values if (found := _crossing(value, data, end)) >= 0]:
            end = min(crossing)
        self._held = data[end:]
        return _redacted(data[:end])

    def rest(self) -> bytes:
        """Give what is still held, now that nothing follows."""
        rest, self._held = self._held, b""
        return _redacted(rest)


def _redacted(data: bytes) -> bytes:
    for value in _hidden_bytes():
        if value in data:
            data = data.replace(value, MASK.encode())
    return data


def _hidden_bytes() -> list[bytes]:
    return [value.encode(errors="surrogatepass") for value in _hidden]


def _beginning(value: bytes, data: bytes) -> int:
    """Give where the value may have begun at the end of the data, or the data's length."""
    start = data.find(value[:1], max(0, len(data) - len(value) + 1))
    while start >= 0 and not value.startswith(data[start:]):
        start = data.find(value[:1], start + 1)
    return start if start >= 0 else len(data)


def _crossing(value: bytes, data: bytes, end: int) -> int:
    """Give where the value stands across a place in the data, -1 if it does not."""
    return data.find(value, max(0, end - len(value) + 1), end + len(value) - 1)
