"""No encoding of a masked value is left in a text, nor in a stream, wherever that is cut."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from runner.secrets.redaction import MASK, Redactor, mask, redact

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = [
    "correct-horse-battery",
    'with "both" kinds\' quotes\\ & /slash+',
    "lines\nand\ttabs\r\n  too",
    "ümläut€😀🔑 wide",
]
ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps([text], ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"a": text})),
    "repr": repr,
    "repr of more": lambda text: repr({"a": f'it\'s "{text}"'}),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "quote": lambda text: f"?a={urllib.parse.quote(text)}&b=1",
    "quote all": lambda text: urllib.parse.quote(text, safe=""),
    "quote_plus": lambda text: urllib.parse.urlencode({"a": text}),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode() * 4).decode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("value", VALUES)
def test_no_encoding_is_left(encoding: str, value: str) -> None:
    mask(value * 4 if encoding == "base64 in lines" else value)
    shown = ENCODINGS[encoding](value)
    plain = ENCODINGS[encoding]("")
    left = redact(f"begin {shown} end")
    assert MASK in left
    assert len(left) <= len(f"begin {plain} end") + 16, left
    redactor = Redactor()
    pieces = [f"begin {shown} end".encode()[start : start + 5] for start in range(0, len(shown.encode()) + 10, 5)]
    assert b"".join([*map(redactor.feed, pieces), redactor.rest()]).decode() == left


@pytest.mark.parametrize("before", range(4))
def test_in_longer_base64_nothing_is_left_but_its_first_and_last_characters(before: int) -> None:
    value = "correct-horse-battery"
    mask(value)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(b"?" * before + value.encode() + b":and more").decode()
        left = redact(whole)
        assert MASK in left
        longest = max(len(part) for part in left.split(MASK))
        assert longest <= 4 * before // 3 + 4 + 16
        assert all(b"orse" not in base64.b64decode(part[: len(part) // 4 * 4], b"-_") for part in left.split(MASK))


def test_a_stream_is_redacted_as_a_text_is_wherever_it_is_cut() -> None:
    chance = random.Random(5)
    for _ in range(200):
        values = ["".join(chance.choices("ab", k=chance.randint(8, 12))) for _ in range(3)]
        mask(*values)
        text = "".join(chance.choices("abc ", [8, 8, 1, 1], k=300))
        redactor = Redactor()
        left, start = b"", 0
        while start < len(text):
            end = start + chance.randint(1, 20)
            left += redactor.feed(text[start:end].encode())
            start = end
        left += redactor.rest()
        assert not any(value.encode() in left for value in values)


def test_a_value_that_was_not_written_to_its_end_is_taken_out_too() -> None:
    mask("correct-horse-battery")
    redactor = Redactor()
    assert redactor.feed(b"it is correct-horse-batter") + redactor.rest() == b"it is ***"
    assert redactor.feed(b"it is correct") + redactor.rest() == b"it is correct"


def test_what_was_no_utf_8_is_masked_as_bytes_and_half_a_character_does_no_harm() -> None:
    mask(b"caf\xe9-au-lait".decode(errors="surrogateescape"), "half \ud83d of it")
    redactor = Redactor()
    assert redactor.feed(b"a caf\xe9-au-lait b") + redactor.rest() == b"a *** b"
    assert redact(json.dumps("half \ud83d of it")) == '"***"'
