"""What every attack has: a place, a container that trusts its author alone, and a canary that sings when executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.canary import Canary, Target
from support.places import local_place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(local_place(tmp_path / "storage"), Canary(tmp_path))
