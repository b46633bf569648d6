"""``flow.launch(…)``: from Python to a launched run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner import Flow, Parameter, task
from runner.errors import EnvironmentWrong
from runner.launchers import Local
from runner.storage import Local as Folder

if TYPE_CHECKING:
    from pathlib import Path


@task
def double(number: int) -> int:
    return 2 * number


with Flow("doubling") as flow:
    double(Parameter("number"))


def test_a_flow_is_published_launched_and_waited_for(tmp_path: Path) -> None:
    flow.storage = Folder(str(tmp_path / "flows"))
    run = flow.launch(Local(folder=str(tmp_path / "launches")), number=21)
    outcome = run.wait()
    assert outcome["state"] == "succeeded"
    assert run.store.read_outcome() == outcome
    assert run.url.startswith((tmp_path / "flows").as_uri())


def test_wrong_parameters_are_refused_before_anything_is_launched(tmp_path: Path) -> None:
    flow.storage = Folder(str(tmp_path / "flows"))
    with pytest.raises(EnvironmentWrong, match="no parameter 'amount'"):
        flow.launch(Local(folder=str(tmp_path / "launches")), amount=21)
    assert not (tmp_path / "launches").exists()
