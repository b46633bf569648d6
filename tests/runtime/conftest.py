from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _documents_are_as_described(request: pytest.FixtureRequest) -> Iterator[None]:
    """Validate every document that a test left in its place."""
    place = request.getfixturevalue("place") if "place" in request.fixturenames else None
    place = place or (request.getfixturevalue("here") if "here" in request.fixturenames else None)
    yield
    if place is not None:
        schemas.validate_place(place)
