"""Runs of two storages, and agents with different labels that are killed among them, as processes of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.agents.course import play
from harness.agents.team import WAITING, Member, Planned, Team
from runner.launchers import Local
from support.agents import Site
from support.places import local_place, s3_place

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from support.places import Place
    from support.servers import Server

PLANNED = [
    Planned("ok"),
    Planned("ok", ("shared",)),
    Planned("fail", ("a",)),
    Planned("segfault", ("b",)),
    Planned(WAITING, ("a",)),
    Planned("hold", ("b",)),
]


def test_each_run_is_launched_once_by_a_right_agent_and_has_a_true_outcome(
    moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in moto.environ.items():
        monkeypatch.setenv(name, text)

    def team(place: Place) -> Team:
        folder = tmp_path / place.word
        launcher = Local(folder=str(folder / "launches"))
        options = ("-O", f"folder={folder}/launches", "-e", "RUNNER_HEARTBEAT=1", "-e", "RUNNER_GRACE=2")
        members = {name: Member((name, "shared"), launcher, options) for name in ("a", "b")}
        site = Site(place, folder / "launches").publish()
        return Team(site, "", members, PLANNED, folder / "said")

    play([team(local_place(tmp_path / "storage")), team(s3_place(moto))])
