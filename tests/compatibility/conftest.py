from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from support.written_before import DATA, OLD, Etl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of all that 0.1.0 wrote, in another place than where it was written."""
    copy = shutil.copytree(DATA, tmp_path / "data")
    for path in copy.rglob("*"):
        os.utime(path, (OLD, OLD))
    return copy


@pytest.fixture(params=["unsigned", "signed"])
def etl(request: pytest.FixtureRequest, data: Path) -> Etl:
    keys = {
        "RUNNER_TRUSTED_KEYS": (data / "keys" / "public").read_text("utf-8").strip(),
        "RUNNER_SIGNING_KEY_FILE": str(data / "keys" / "private.pem"),
    }
    return Etl(data / request.param / "etl", keys if request.param == "signed" else {})


@pytest.fixture
def unsigned(data: Path) -> Etl:
    return Etl(data / "unsigned" / "etl", {})
