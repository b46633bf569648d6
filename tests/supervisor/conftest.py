"""What the tests of runs that live share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def _documents_are_as_described(request: pytest.FixtureRequest) -> Iterator[None]:
    places = [request.getfixturevalue(name) for name in ("place", "here") if name in request.fixturenames]
    yield
    for place in places:
        schemas.validate_place(place)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder in which the flow notes what it does."""
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder
