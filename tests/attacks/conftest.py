"""What attacks on runs have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.canary import Canary
from support.scene import SIGNING, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


@pytest.fixture
def scene(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A place with runs whose ends and results the author signs."""
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING)
    notes = tmp_path / "notes"
    notes.mkdir()
    return Scene(here, notes, Canary(tmp_path))
