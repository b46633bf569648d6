"""Columns and sizes for a terminal."""

from __future__ import annotations

import pytest

from runner.runs.display import size_text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (4100, "4.1 kB"), (2_500_000, "2.5 MB"), (1_300_000_000, "1.3 GB")]
)
def test_sizes_are_written_as_people_read_them(size: int, text: str) -> None:
    assert size_text(size) == text
