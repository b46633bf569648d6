"""Secret values that this process must never print, and their removal from texts and from streams of bytes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from runner.secrets.encodings import SHORTEST, encodings_of, to_bytes
from runner.secrets.matcher import SecretMatcher

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
_EMPTY = SecretMatcher({}, {})
# What this process masks: its logs, documents and errors all pass here. It only grows, each time into a new matcher.
_PROCESS_MATCHER = _EMPTY
_PROCESS_LOCK = threading.Lock()  # held while it grows


def mask(*texts: str) -> None:
    """Replace these texts, in all their encodings and however short they are, in all that is redacted from now on."""
    mask_encodings(map(encodings_of, texts))


def mask_encodings(values: Iterable[Iterable[str]]) -> None:
    """Do as `mask` does, with the encodings of each text."""
    global _PROCESS_MATCHER  # noqa: PLW0603 - it is what this process masks
    with _PROCESS_LOCK:
        _PROCESS_MATCHER = _PROCESS_MATCHER.with_values(values)


def redact(text: str) -> str:
    """Return the text with every masked value replaced by ``***``; one that contains another is replaced as a whole."""
    matcher = _PROCESS_MATCHER
    if matcher:
        for encoding in matcher.candidates(to_bytes(text)):
            text = text.replace(encoding, MASK)
    return text


def masks_anything() -> bool:
    """Return whether there is any value to mask."""
    return bool(_PROCESS_MATCHER)


def reset_masks() -> None:
    """Mask nothing any more: for tests, of which many run in one process."""
    global _PROCESS_MATCHER  # noqa: PLW0603 - as above
    _PROCESS_MATCHER = _EMPTY


class Redactor:
    """Redacts a stream of bytes in UTF-8, also where a value is split over two pieces.

    Bytes that may be the beginning of a value are held back until it is clear.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece, and return what is safe to pass on."""
        matcher = _PROCESS_MATCHER
        if not matcher:
            return data
        data = self._held + data
        end = matcher.possible_start(data)
        candidates = [to_bytes(each) for each in matcher.candidates(data)]
        while crossing := [found for each in candidates if (found := _crossing(each, data, end)) >= 0]:
            end = min(crossing)
        self._held = data[end:]
        return _masked(data[:end], candidates)

    def rest(self) -> bytes:
        """Return what is held back, as nothing follows any more; of a value's beginning, 8 bytes or more are masked."""
        candidates = [to_bytes(each) for each in _PROCESS_MATCHER.candidates(self._held)]
        rest, self._held = _masked(self._held, candidates), b""
        start = _PROCESS_MATCHER.possible_start(rest)
        return rest[:start] + MASK.encode() if len(rest) - start >= SHORTEST else rest


def _masked(data: bytes, encodings: list[bytes]) -> bytes:
    for encoding in encodings:
        data = data.replace(encoding, MASK.encode())
    return data


def _crossing(encoding: bytes, data: bytes, end: int) -> int:
    """Return where the encoding begins that lies across ``end``; -1 if none does."""
    return data.find(encoding, max(0, end - len(encoding) + 1), end + len(encoding) - 1)
