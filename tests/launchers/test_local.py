"""Processes of this machine, launched."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from runner.errors import EnvironmentWrong
from runner.launchers import Local
from runner.launchers.base import Order
from support.launching import HASTE, KILLED_LAUNCHER, LaunchContract, Platform

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


def test_what_was_launched_before_is_not_said_to_be_launched(platform: Platform) -> None:
    """Its container has died, and whoever only asks for it again does not look."""
    first = platform.launch("hold", "-d")
    assert (first.code, first.stdout) == (0, f"launched {platform.name()}: {platform.store().url}\n")
    platform.until_running()
    platform.kill(platform.name())
    again = platform.launch("hold", "-d")
    assert (again.code, again.stdout) == (0, f"{platform.name()} was launched before: {platform.store().url}\n")
    assert "without --detach it is looked after" in again.stderr
    assert platform.launch("hold", *HASTE, "-f").code == 137
    assert not platform.is_there(platform.name())


def test_a_launch_that_was_only_written_down_is_made_and_said_to_be(platform: Platform) -> None:
    killed = platform.begin("ok", "-d", program=(KILLED_LAUNCHER, "before", "launch", "1"))
    out, _ = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, out
    assert platform.launch("ok", "-d").stdout == f"launched {platform.name()}: {platform.store().url}\n"


def test_that_nothing_is_limited_is_told_and_no_variable_is_kept_in_a_file(platform: Platform, tmp_path: Path) -> None:
    done = platform.launch("hold", "--memory", "10", "--cpu", "1000", "-e", "WORD=only-in-the-process", "-d")
    assert (done.code, "local limits nothing: cpu, memory" in done.stderr) == (0, True), done
    platform.until_running()
    kept = [path for path in (tmp_path / "launches").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"only-in-the-process" in path.read_bytes()]
    assert "limits nothing" not in platform.launch("hold", "-d").stderr
    assert platform.cancel().code == 0
    assert platform.launch("hold", "-f").code == 143
    assert not platform.is_there(platform.name())
