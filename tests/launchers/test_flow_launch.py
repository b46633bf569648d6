"""``flow.launch(…)``: from Python to a launched run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task
from runner.environments import LocalEnvironment
from runner.errors import EnvironmentWrong, UsageError
from runner.launchers import ECS, Batch, Kubernetes, Local
from runner.storage import Local as Folder

if TYPE_CHECKING:
    from pathlib import Path

    from runner.launchers.base import Launcher


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


ALL_MOUNTED = {"mountPoints": [{"sourceVolume": "all", "containerPath": "/"}]}


@pytest.mark.parametrize(
    ("launcher", "missing"),
    [
        (ECS(region="us-east-1", container_definition=ALL_MOUNTED), "needs a subnet"),
        (Batch(region="us-east-1", container_properties=ALL_MOUNTED), "no queue"),
        (Kubernetes(), "has nothing mounted there"),
    ],
)
def test_what_a_platform_cannot_be_asked_for_leaves_no_run_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: Launcher, missing: str
) -> None:
    monkeypatch.setattr(flow, "environment", LocalEnvironment(metadata={"image": "team/etl:7"}))
    flow.storage = Folder(str(tmp_path / "flows"))
    with pytest.raises(EnvironmentWrong, match=missing):
        flow.launch(launcher, number=21)
    assert not list(tmp_path.rglob("runs"))


@pytest.mark.parametrize(
    "number", [(1, 2), {1: 2}, float("nan"), object(), {1}], ids=["tuple", "number as key", "nan", "object", "set"]
)
def test_a_value_that_json_does_not_have_is_refused_before_anything_is_published(
    tmp_path: Path, number: object
) -> None:
    flow.storage = Folder(str(tmp_path / "flows"))
    with pytest.raises(EnvironmentWrong, match="parameter 'number' is a value that JSON does not have"):
        flow.launch(Local(), number=number)
    with pytest.raises(EnvironmentWrong, match="no parameter 'amount'"):
        flow.launch(Local(), amount=1)
    assert not (tmp_path / "flows").exists()


@pytest.mark.parametrize("launcher", ["docker", Local, None])
def test_what_is_no_launcher_is_told(launcher: Any) -> None:
    with pytest.raises(UsageError, match="is no launcher"):
        flow.launch(launcher, number=1)
