"""What the tests of the commands share: a place in a folder, and one in which a run was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.command_line import ETL
from support.flows import located, publish
from support.places import Place, local_place
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = local_place(tmp_path / "storage")
    yield place
    schemas.validate_place(place)


@pytest.fixture
def ran(here: Place) -> Place:
    """A place in which etl.py was published and run as r."""
    publish(here, "etl.py")
    assert start(located(here, ETL) | {"RUNNER_RUN_ID": "r"}).code == 0
    return here
