"""What is said of a call of which is only known when it runs what it means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.publishing import unknown_names
from runner.publishing.import_calls import Unknown
from runner.publishing.unknown_names import Pointer, note_of

if TYPE_CHECKING:
    import pytest


def pointer(call: str = "load(name)", begins: str = "") -> Pointer:
    return Pointer(Path("/home/flows/etl.py"), Unknown(7, call, begins, opened=False))


def test_a_note_names_the_file_the_line_and_the_remedy() -> None:
    base = Path("/home/flows")
    assert note_of(pointer(), base, None) == (
        "note: etl.py, line 7: which module load(name) means is known only when it runs, and may be missing there; "
        "take it along, unless it is installed there: -i PATH, or include=['PATH']"
    )
    assert "-i PATH=acme/plug, " in note_of(pointer(begins="acme.plug."), base, None)
    assert "-i acme/plug, " in note_of(pointer(begins="acme.plug."), base, base / "acme" / "plug")
    assert "-i ../src/plug=acme/plug, " in note_of(pointer(begins="acme.plug.x"), base, Path("/home/src/plug"))
    assert "/home/flows/etl.py, line 7" in note_of(pointer(), Path("/elsewhere"), None)
    assert f"which module {'x' * 80}… means" in note_of(pointer("x" * 200), base, None)


def test_a_folder_that_no_relative_path_leads_to_is_named_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_another_drive(*_: object) -> str:
        message = "path is on mount 'D:', start on mount 'C:'"
        raise ValueError(message)

    monkeypatch.setattr(unknown_names, "relpath", on_another_drive)
    assert "-i /d/plug=acme/plug, " in note_of(pointer(begins="acme.plug."), Path("/home"), Path("/d/plug"))
