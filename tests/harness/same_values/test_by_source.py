"""The other design can still be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.same_values.by_source import count
from harness.same_values.corpus import collect

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["classes/slots", "functions/source_of_a_function", "refused/name_of_the_standard_library"]


def test_both_designs_are_counted(tmp_path: Path) -> None:
    cases = [case for case in collect() if case.name in NAMES]
    values, source = (count(design, cases, tmp_path) for design in ("values", "source"))
    assert (values.same, values.refused, [*values.wrong]) == (NAMES[:1], NAMES[2:], NAMES[1:2])
    assert (source.same, source.refused, source.wrong) == (NAMES[:2], NAMES[2:], {})
