"""What is read of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.doctor import machine

if TYPE_CHECKING:
    import pytest


def test_a_library_that_is_absent_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LIBRARIES", ("cloudpickle", "no-such-library"))
    found = machine.describe_machine({"RUNNER_IMAGE": "org/runner:aws"})
    assert found["libraries"]["no-such-library"] is None
    assert found["libraries"]["cloudpickle"]
    assert found["image"] == "org/runner:aws"


def test_a_tmpdir_that_is_not_used_is_reported() -> None:
    state, message = machine.check_temporary_folder({"TMPDIR": "/no/such/folder"})
    assert state == "note"
    assert message.endswith("TMPDIR is /no/such/folder, which cannot")
