"""Processes of this machine, launched."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from runner.launchers import Local
from support.launching import LaunchContract, Platform

if TYPE_CHECKING:
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
