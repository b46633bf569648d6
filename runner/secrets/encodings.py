"""The encodings in which programs write a text: plain, JSON, Python, URL, base64."""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 8  # characters of a secret: what is shorter stands in texts by accident
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")  # RFC 3986
_URL_SAFE = str.maketrans("+/", "-_")
_LINE_WIDTHS = (64, 76)  # characters of a line of base64: OpenSSL's, and MIME's


def to_bytes(text: str) -> bytes:
    """Encode a text in UTF-8; bytes of a variable or file name that were no UTF-8 become what they were."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which only JSON can hold
        return text.encode(errors="surrogatepass")


def encodings_of(text: str) -> list[str]:
    """Return all encodings of a text without repetition, the text itself first."""
    return list(dict.fromkeys((*quoted_encodings(text), *_url_encodings(text), *_base64_encodings(text))))


def quoted_encodings(text: str) -> Iterator[str]:
    """Yield the text as JSON and Python write it between quotes, also where these are quoted again."""
    escaped = json.dumps(text)[1:-1]
    yield text
    yield escaped
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(escaped)[1:-1]
    yield repr(text)[1:-1]
    yield repr("\"'" + text)[4:-1]  # where a longer text has both kinds of quotes
    yield ascii(text)[1:-1]
    yield repr(to_bytes(text))[2:-1]


def _url_encodings(text: str) -> Iterator[str]:
    """Yield the text as ``urllib.parse`` (in both ways) and JavaScript encode it, with digits in both cases."""
    raw = to_bytes(text)
    if _UNRESERVED.issuperset(raw):
        return
    for safe, space in ((b"", "%20"), (b"/", "%20"), (b"", "+"), (b"!'()*", "%20")):
        allowed = _UNRESERVED.union(safe)
        for digits in ("%%%02X", "%%%02x"):
            signs = {byte: chr(byte) if byte in allowed else digits % byte for byte in set(raw)} | {32: space}
            yield "".join(map(signs.__getitem__, raw))


def _base64_encodings(text: str) -> Iterator[str]:
    """Yield the text in base64: alone, in lines, and as a part of something longer, at each of three offsets.

    What is escaped in JSON is encoded as that, too. Four characters of base64 hold three bytes together, so that up
    to three characters at either end of a part of something longer are not in what is yielded.
    """
    raw = to_bytes(text)
    whole = b2a_base64(raw, newline=False).decode()
    for each in (whole, whole.rstrip("=")):
        yield each
        yield each.translate(_URL_SAFE)
    for width in _LINE_WIDTHS:
        if len(whole) > width:
            lines = [whole[start : start + width] for start in range(0, len(whole), width)]
            yield "\n".join(lines)
            yield "\\n".join(lines)
    escaped = (json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    for inner in dict.fromkeys((raw, *map(to_bytes, escaped))):
        for offset in range(3):
            around = b2a_base64(bytes(offset) + inner, newline=False).decode()
            part = around[(0, 2, 3)[offset] : (offset + len(inner)) // 3 * 4]
            if len(part) >= SHORTEST:
                yield part
                yield part.translate(_URL_SAFE)
