"""No encoding of a masked value is left in a text, nor in a stream, wherever that is cut."""

from __future__ import annotations

import json
import random

import pytest

from runner.secrets.redaction import MASK, Redactor, mask, redact, reset_masks
from support.secret_forms import FORMS, IN_BASH, INSIDE

VALUES = [
    "correct-horse-battery",
    'with "both" kinds\' quotes\\ & /slash+',
    "lines\nand\ttabs\r\n  too",
    "ümläut€😀🔑 wide",
]


@pytest.mark.parametrize("encoding", FORMS)
@pytest.mark.parametrize("value", VALUES)
def test_no_encoding_is_left(encoding: str, value: str) -> None:
    mask(value * 4 if encoding == "base64 in lines" else value)
    shown = FORMS[encoding](value)
    plain = FORMS[encoding]("")
    left = redact(f"begin {shown} end")
    assert MASK in left
    assert len(left) <= len(f"begin {plain} end") + 16, left
    redactor = Redactor()
    pieces = [f"begin {shown} end".encode()[start : start + 5] for start in range(0, len(shown.encode()) + 10, 5)]
    assert b"".join([*map(redactor.feed, pieces), redactor.rest()]).decode() == left


@pytest.mark.parametrize("form", IN_BASH)
@pytest.mark.parametrize("value", ["it's-a-pass word", 'say"$HOME`x`\\-and!more', "plain-enough-9", "foo'bar&baz;qux"])
def test_what_a_shell_prints_of_a_value_is_masked(form: str, value: str) -> None:
    """Jenkins hid only the value as it is, and bash traces it as it quotes it (JENKINS-42950)."""
    mask(value)
    left = redact(IN_BASH[form](value))
    assert MASK in left
    assert len(left) < 12, left


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("form", INSIDE)
def test_inside_something_longer_nothing_is_left_but_its_first_and_last_characters(form: str, before: int) -> None:
    """GitHub looked for the padded base64 alone, and ``echo $SECRET | base64`` adds a newline (actions/runner 291)."""
    value = "correct-horse-battery"
    mask(value)
    for after in (b"", b"\n", b":and more"):
        whole = INSIDE[form](b"?" * before + value.encode() + after).decode()
        left = redact(whole)
        assert MASK in left
        around = len(INSIDE[form](b"?" * before)) + len(INSIDE[form](after))
        assert len(left.replace(MASK, "")) <= around + 8, (whole, left)


def test_only_letters_are_changed_to_capitals_or_small_ones_and_nothing_is_hidden_by_halves() -> None:
    mask("Pa55-Wort-Straße")
    assert redact("PA55-WORT-STRASSE pa55-wort-straße Pa55-Wort-Straße") == "*** *** ***"
    assert redact("pA55-Wort") == "pA55-Wort"


def test_a_long_value_is_masked_as_a_short_one_is() -> None:
    value = "".join(random.Random(2).choices("abcXYZ012+/=\"'&", k=3000))
    mask(value)
    for form in ("as it is", "JSON three deep", "base64", "base85", "hexadecimal", "quote all", "HTML", "shell", "CSV"):
        assert MASK in redact(FORMS[form](value)), form
        assert len(redact(FORMS[form](value))) < 40, form


def test_values_of_every_length_are_found_wherever_they_begin() -> None:
    for length in (1, 3, 6, 7, 8, 14, 15, 16, 40):
        value = "z" + "y" * (length - 1)
        mask(value)
        for before in range(18):
            for after in ("", ".", "." * 9):
                assert "z" not in redact("." * before + value + after)
        reset_masks()


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
