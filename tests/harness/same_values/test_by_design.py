"""Each design can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.same_values.by_design import count
from harness.same_values.corpus import collect

if TYPE_CHECKING:
    from pathlib import Path

SLOTS, SOURCE, READ, NAME = NAMES = [
    "classes/slots",
    "functions/source_of_a_function",
    "modules/read_by_a_computed_name",
    "refused/name_of_the_standard_library",
]


@pytest.mark.parametrize(
    ("design", "same", "refused", "wrong"),
    [
        ("the file or its values", [SLOTS, SOURCE, READ], [NAME], []),
        ("the values alone", [SLOTS, READ], [NAME], [SOURCE]),
        ("the file alone", [SLOTS, SOURCE], [READ, NAME], []),
    ],
)
def test_a_design_is_counted(
    design: str, same: list[str], refused: list[str], wrong: list[str], tmp_path: Path
) -> None:
    counted = count(design, [case for case in collect() if case.name in NAMES], tmp_path)
    assert (counted.same, counted.refused, [*counted.wrong]) == (same, refused, wrong)
