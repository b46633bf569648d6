from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.places import Place, local_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def _documents_are_as_described(request: pytest.FixtureRequest) -> Iterator[None]:
    """Validate every document that a test left in its place."""
    place = request.getfixturevalue("place") if "place" in request.fixturenames else None
    place = place or (request.getfixturevalue("here") if "here" in request.fixturenames else None)
    yield
    if place is not None:
        schemas.validate_place(place)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    """A place on this machine, for what does not depend on the storage."""
    return local_place(tmp_path / "storage")
