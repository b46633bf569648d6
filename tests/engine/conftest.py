"""What the tests of the engine are run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.engine import task_run
from runner.engine.executors import open_executor

if TYPE_CHECKING:
    from runner.engine.executors import Executor


@pytest.fixture(params=["threads:3", "sequential"])
def executor(request: pytest.FixtureRequest) -> Executor:
    return open_executor(request.param)


@pytest.fixture
def soon_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_run, "STUCK_AFTER_SECONDS", 0.3)
