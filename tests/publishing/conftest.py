"""What the tests of publishing are run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.authors import Author

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")
