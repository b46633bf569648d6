"""A short run of the fuzzer: only the declared errors may come out. ``make fuzz`` makes a long one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from harness.fuzz.bounds import bounded
from harness.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_only_declared_errors_come_out(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def read(value: Any) -> None:
        with suppress(*target.declared), bounded(value):
            target.read(value)

    read()
