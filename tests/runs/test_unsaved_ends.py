"""Ends that were kept beside the storage go when a later one is stored, with what killed processes left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.runs import unsaved_ends

if TYPE_CHECKING:
    from pathlib import Path


def test_those_of_earlier_attempts_go_and_no_others(tmp_path: Path) -> None:
    gone = ["runner-r-1.json", "runner-r-2.json", ".runner-r-1.json.0123456789abcdef", ".runner-r-2.json.f"]
    stay = ["runner-r-3.json", "runner-r-11.json", ".runner-r-3.json.f", ".runner-r-11.json.f", "runner-other-1.json"]
    for name in [*gone, *stay]:
        (tmp_path / name).write_text("{}")
    unsaved_ends.discard("r", 3, str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)


def test_a_first_attempt_looks_at_nothing(tmp_path: Path) -> None:
    (tmp_path / ".runner-r-1.json.f").write_text("{}")
    unsaved_ends.discard("r", 1, str(tmp_path))
    unsaved_ends.discard("r", 3, str(tmp_path / "gone"))
    assert [path.name for path in tmp_path.iterdir()] == [".runner-r-1.json.f"]
