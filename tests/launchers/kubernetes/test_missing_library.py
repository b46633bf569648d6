"""Without the extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runner.errors import EnvironmentWrong
from runner.launchers import Kubernetes
from runner.launchers.base import Order

ORDER = Order("etl", "org/runner:aws", {"RUNNER_RUN_ID": "r"}, {}, {}, {}, 10.0)


@pytest.mark.parametrize(("module", "call"), [("yaml", "render"), ("lightkube", "launch")])
def test_a_library_that_is_missing_is_told_with_the_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, call: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentWrong, match=module) as raised:
        getattr(Kubernetes(), call)(ORDER)
    assert "'flow-runner[kubernetes]'" in raised.value.hint


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    script = (
        "import sys; from runner.launchers import Kubernetes; Kubernetes(namespace='flows');"
        " sys.exit(bool({'yaml', 'lightkube', 'httpx2'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
