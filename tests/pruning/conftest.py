"""What the tests of pruning share: runs count as settled at once, unless a test says otherwise."""

from __future__ import annotations

import pytest

from runner.pruning import needs


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test has just written is as if an hour had gone since; a storage's clock may be ahead of this one."""
    monkeypatch.setattr(needs, "SETTLED_SECONDS", -60.0)
    monkeypatch.setattr(needs, "LAUNCH_SECONDS", -60.0)
