"""What the tests of runs that live share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder in which the flow notes what it does."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder
