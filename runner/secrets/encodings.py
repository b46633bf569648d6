"""The forms in which a text stands in what programs write: as it is, in JSON, in Python, in a URL, in base64."""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 8  # characters: what is shorter stands in texts by accident
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")  # RFC 3986
_URL_SAFE = str.maketrans("+/", "-_")
_WIDTHS = (64, 76)  # characters of a line of base64, as OpenSSL and as MIME have it


def encoded(text: str) -> bytes:
    """Give a text in UTF-8; what of a variable or a file's name was no UTF-8 becomes the bytes that it was."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which only JSON can hold
        return text.encode(errors="surrogatepass")


def encodings_of(text: str) -> list[str]:
    """Give each form once, the text itself first."""
    return list(dict.fromkeys((*quoted(text), *_in_url(text), *_in_base64(text))))


def quoted(text: str) -> Iterator[str]:
    """Give it as JSON and Python have it between quotes, also where these stand in other quotes again."""
    escaped = json.dumps(text)[1:-1]
    yield text
    yield escaped
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(escaped)[1:-1]
    yield repr(text)[1:-1]
    yield repr("\"'" + text)[4:-1]  # where a longer text has both kinds of quotes
    yield ascii(text)[1:-1]
    yield repr(encoded(text))[2:-1]


def _in_url(text: str) -> Iterator[str]:
    """Give it as the two ways of ``urllib.parse`` and JavaScript's have it, with digits in both cases."""
    raw = encoded(text)
    if _UNRESERVED.issuperset(raw):
        return
    for safe, space in ((b"", "%20"), (b"/", "%20"), (b"", "+"), (b"!'()*", "%20")):
        allowed = _UNRESERVED.union(safe)
        for digits in ("%%%02X", "%%%02x"):
            signs = {byte: chr(byte) if byte in allowed else digits % byte for byte in set(raw)} | {32: space}
            yield "".join(map(signs.__getitem__, raw))


def _in_base64(text: str) -> Iterator[str]:
    """Give it in base64: alone, in lines, and wherever in something longer it begins.

    What is escaped in JSON is given as that, too. Of three bytes the four characters are known only together, so that
    up to three at either end of what stands in something longer are not in a form.
    """
    raw = encoded(text)
    whole = b2a_base64(raw, newline=False).decode()
    for each in (whole, whole.rstrip("=")):
        yield each
        yield each.translate(_URL_SAFE)
    for width in _WIDTHS:
        if len(whole) > width:
            lines = [whole[start : start + width] for start in range(0, len(whole), width)]
            yield "\n".join(lines)
            yield "\\n".join(lines)
    escaped = (json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    for inner in dict.fromkeys((raw, *map(encoded, escaped))):
        for shift in range(3):
            around = b2a_base64(bytes(shift) + inner, newline=False).decode()
            part = around[(0, 2, 3)[shift] : (shift + len(inner)) // 3 * 4]
            if len(part) >= SHORTEST:
                yield part
                yield part.translate(_URL_SAFE)
