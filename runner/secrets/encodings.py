"""The one list of forms in which a secret may stand in a text: what a build looks for, and what a run hides.

Quoted by JSON (also nested), Python, HTML, shells and CSV; in capital or small letters; for URLs; in base64, base85 and
hexadecimal digits, alone or as a part of something longer.
"""

from __future__ import annotations

import json
import struct
from binascii import b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 8  # characters of a secret: what is shorter stands in texts by accident
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")  # RFC 3986
_URL_SAFE = str.maketrans("+/", "-_")
_LINE_WIDTHS = (64, 76)  # characters of a line of base64: OpenSSL's, and MIME's
_LONGEST_CHANGED = 512  # characters: of what is longer, other letters and the middle of base85 are not looked for
_DIGITS = bytes(range(85))
# RFC 1924's, as base64.b85encode writes it, and that of Adobe and base64.a85encode
_BASE85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_ALPHABETS = [bytes.maketrans(_DIGITS, alphabet) for alphabet in (_BASE85, bytes(range(33, 118)))]
_JSON_STYLES = (  # what is escaped besides the usual: by Go, PHP and .NET
    tuple((sign, f"\\u{ord(sign):04x}") for sign in "<>&"),
    (("/", "\\/"),),
    (('\\"', "\\u0022"), *((sign, f"\\u{ord(sign):04X}") for sign in "<>&'+`")),
)
_HTML = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_QUOTING_STYLES = (
    *((*_HTML, *zip("\"'", quotes, strict=False)) for quotes in ((), ("&quot;",), ("&quot;", "&#x27;"))),
    *((*_HTML, *zip("\"'", quotes, strict=True)) for quotes in (("&quot;", "&#39;"), ("&#34;", "&#39;"))),
    (*_HTML, ('"', "&quot;"), ("'", "&apos;")),
    (("'", "'\\''"),),  # bash's set -x
    (("'", "'\"'\"'"),),  # dash's, and Python's
    (("'", "''"),),  # SQL, YAML and PowerShell
    (('"', '""'),),  # CSV
    tuple((sign, f"\\{sign}") for sign in '\\"$`'),  # between double quotes of a shell
    tuple((sign, f"\\{sign}") for sign in "\\ !\"#$&'()*,;<>?[]^`{|}~"),  # outside of quotes, as bash's printf %q
)


def to_bytes(text: str) -> bytes:
    """Encode a text in UTF-8; bytes of a variable or file name that were no UTF-8 become what they were."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which only JSON can hold
        return text.encode(errors="surrogatepass")


def encodings_of(text: str) -> list[str]:
    """Return all encodings of a text without repetition, the text itself first."""
    found = dict.fromkeys(quoted_encodings(text))
    if len(text) <= _LONGEST_CHANGED:
        for changed in (text.upper(), text.lower()):
            found.update(dict.fromkeys(quoted_encodings(changed)))
    found.update(dict.fromkeys(_url_encodings(text)))
    found.update(dict.fromkeys(_binary_encodings(text)))
    return list(found)


def quoted_encodings(text: str) -> Iterator[str]:
    """Yield the text as it stands between quotes of programs and formats, also where JSON is quoted again."""
    yield text
    if _UNRESERVED.issuperset(to_bytes(text)):
        return
    for is_ascii in (True, False):
        once = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield once
        yield from _styled(once, _JSON_STYLES)
        twice = json.dumps(once)[1:-1]
        yield twice
        yield json.dumps(twice)[1:-1]
    yield repr(text)[1:-1]
    yield repr("\"'" + text)[4:-1]  # where a longer text has both kinds of quotes
    yield ascii(text)[1:-1]
    yield repr(to_bytes(text))[2:-1]
    yield from _styled(text, _QUOTING_STYLES)


def _styled(text: str, styles: Iterable[Iterable[tuple[str, str]]]) -> Iterator[str]:
    """Yield the text with signs replaced, once for each style that changes it."""
    for style in styles:
        changed = text
        for sign, instead in style:
            changed = changed.replace(sign, instead)
        if changed is not text:
            yield changed


def _url_encodings(text: str) -> Iterator[str]:
    """Yield the text as ``urllib.parse`` (in both ways) and JavaScript encode it, once and twice, in both cases."""
    raw = to_bytes(text)
    reserved = set(raw) - _UNRESERVED
    if not reserved:
        return
    signs = raw.decode("latin-1").replace("%", "%25")
    for safe, space in ((b"", "%20"), (b"/", "%20"), (b"", "+"), (b"!'()*", "%20")):
        for digits in ("%%%02X", "%%%02x"):
            once = signs
            for byte in reserved.difference(safe, b"% "):
                once = once.replace(chr(byte), digits % byte)
            once = once.replace(" ", space)
            yield once
            yield once.replace("%", "%25")


def _binary_encodings(text: str) -> Iterator[str]:
    """Yield the text's bytes as printable characters, and so those of the text as JSON escapes it."""
    raw = to_bytes(text)
    yield raw.hex()
    yield raw.hex().upper()
    whole = b2a_base64(raw, newline=False).decode()
    for each in (whole, whole.rstrip("=")):
        yield each
        yield each.translate(_URL_SAFE)
    yield from base64_lines(text)
    escaped = (json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    for inner in dict.fromkeys((raw, *map(to_bytes, escaped))):
        yield from _base64_parts(inner)
    yield from _base85_parts(raw)


def base64_lines(text: str) -> Iterator[str]:
    """Yield the base64 of a text that is too long for one line of it, in lines, also as JSON and Python escape them."""
    whole = b2a_base64(to_bytes(text), newline=False).decode()
    for width in _LINE_WIDTHS:
        if len(whole) > width:
            lines = [whole[start : start + width] for start in range(0, len(whole), width)]
            yield "\n".join(lines)
            yield "\\n".join(lines)


def _base64_parts(raw: bytes) -> Iterator[str]:
    """Yield the base64 of some bytes inside something longer, at each of three offsets, in both alphabets.

    A character of base64 holds six bits, so that one at either end of the part may be left, which holds bits of both.
    """
    for offset in range(3):
        around = b2a_base64(bytes(offset) + raw, newline=False).decode()
        part = around[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        if len(part) >= SHORTEST:
            yield part
            yield part.translate(_URL_SAFE)


def _base85_parts(raw: bytes) -> Iterator[str]:
    """Yield the base85 of some bytes, alone and inside something longer, at each of four offsets, in both alphabets.

    Five characters hold four bytes together, so that up to four at either end of a part may be left.
    """
    for offset in range(4 if len(raw) <= _LONGEST_CHANGED else 1):
        size = offset + len(raw)
        padding = -size % 4
        digits = bytearray()
        for (number,) in struct.iter_unpack(">I", bytes(offset) + raw + bytes(padding)):
            high, low = divmod(number, 7225)
            head, third = divmod(high, 85)
            first, second = divmod(head, 85)
            digits += bytes((first, second, third, low // 85, low % 85))
        parts = [bytes(digits[(5 if offset else 0) : size // 4 * 5])]
        if not offset:
            parts.append(bytes(digits[: len(digits) - padding]))
        for part in parts:
            if len(part) >= SHORTEST:
                for alphabet in _ALPHABETS:
                    yield part.translate(alphabet).decode()
