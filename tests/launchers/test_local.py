"""Processes of this machine, launched."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from runner.errors import EnvironmentWrong
from runner.launchers import Local
from runner.launchers.base import Order
from support.launching import LaunchContract, Platform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.places import Place


@pytest.fixture
def platform(here: Place, tmp_path: Path) -> Platform:
    folder = tmp_path / "launches"

    def kill(name: str) -> None:
        os.killpg(int((folder / name / "pid").read_text().split()[0]), signal.SIGKILL)

    return Platform(
        Local(folder=str(folder)),
        here,
        kill,
        lambda name: (folder / name).exists(),
        (
            "-O",
            f"folder={folder}",
            "-e",
            "RUNNER_HEARTBEAT=0.5",
            "-e",
            "RUNNER_GRACE=2",
            "-e",
            f"MARK={tmp_path / 'mark'}",
        ),
    ).publish()


class TestLocal(LaunchContract):
    """The suite of all launchers."""


def foreign(folder: Path) -> None:
    os.chown(folder, 4321, 4321)


def linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def opened(folder: Path) -> None:
    folder.chmod(0o777)


@pytest.mark.parametrize("spoil", [foreign, linked, opened])
def test_a_folder_that_others_rule_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    if spoil is foreign and os.geteuid() != 0:
        pytest.skip("only root gives a folder to another user")
    folder = tmp_path / "launches"
    folder.mkdir()
    spoil(folder)
    order = Order("run-r-1", "", {}, {}, {}, {}, 1.0)
    with pytest.raises(EnvironmentWrong, match="is another user's, a link, or others may write to it"):
        Local(folder=str(folder)).launch(order)
    assert not list(folder.iterdir())
