"""How a text of a run becomes markup."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.reports.markup import Html, fitting, tag, text
from runner.secrets.redaction import mask
from support.pages import HOSTILE


@given(st.text(), st.integers(3, 300), st.data())
def test_whatever_a_text_is_its_markup_is_no_larger_and_means_nothing(
    words: str, most: int, data: st.DataObject
) -> None:
    lines = data.draw(st.booleans())
    markup = text(words, most, keep_end=data.draw(st.booleans()), lines=lines)
    assert len(markup.encode()) <= most
    assert not re.search(r"[<>\"'\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|&(?!\w+;|#\w+;)", markup)
    assert lines or "\n" not in markup


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("most", [3, 4, 10, 100, 200_000])
def test_hostile_texts_are_cut_between_characters(name: str, most: int) -> None:
    markup = text(HOSTILE[name], most)
    assert len(markup.encode()) <= most
    assert text(unescape(markup).replace("\\", ""), 10**6).isprintable()


def test_what_is_cut_off_is_told() -> None:
    assert text("one two three", 8) == "one t…"
    assert text("one two three", 8, keep_end=True) == "…three"
    assert text("one two three", 13) == "one two three"
    assert text("<<<", 11) == "&lt;&lt;…"


def test_colours_of_a_terminal_go_and_what_it_obeys_is_shown() -> None:
    assert text("\x1b[1;31mred\x1b[0m \x1b[2J \u202etxt") == "red \\x1b[2J \\u202etxt"


def test_a_secret_is_masked_before_anything_is_cut() -> None:
    mask("hunter2-and-more")
    assert text("the password is hunter2-and-more, and so on", 24) == "the password is ***, …"
    assert "hunter" not in text("hunter2-and-more" * 40, 50)


def test_attributes_are_escaped() -> None:
    assert tag("a", Html("x"), title='"><script>') == '<a title="&quot;&gt;&lt;script&gt;">x</a>'


def test_parts_fit_by_their_bytes() -> None:
    assert fitting([Html("ab"), Html("ä"), Html("c")], 4) == 2
    assert fitting([Html("ab"), Html("ä"), Html("c")], 5) == 3
