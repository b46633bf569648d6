"""Runs of two storages, or of all, and agents with different labels that are killed among them, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.agents.course import play
from harness.agents.team import WAITING, Member, Planned, Team
from harness.agents.test_trial import ALL, MADE_ON
from runner.launchers import Local
from support.agents import Site
from support.places import local_place

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from support.places import Place

PLANNED = [  # what is held first, so that the agents are killed while there is much to do
    Planned("hold", ("b",)),
    Planned("ok"),
    Planned("ok", ("shared",)),
    Planned("fail", ("a",)),
    Planned("segfault", ("b",)),
    Planned(WAITING, ("a",)),
]


def test_each_run_is_launched_once_by_a_right_agent_and_has_a_true_outcome(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [local_place(tmp_path / "storage")]
    for make, server in MADE_ON.values() if ALL else [MADE_ON["s3"]]:
        started = request.getfixturevalue(server)
        for name, text in started.environ.items():
            monkeypatch.setenv(name, text)
        places.append(make(started))

    def team(place: Place) -> Team:
        folder = tmp_path / place.word
        launcher = Local(folder=str(folder / "launches"))
        options = ("-O", f"folder={folder}/launches", "-e", "RUNNER_HEARTBEAT=1", "-e", "RUNNER_GRACE=2")
        members = {name: Member((name, "shared"), launcher, options) for name in ("a", "b")}
        site = Site(place, folder / "launches").publish()
        return Team(site, "", members, PLANNED, folder / "said")

    play([team(place) for place in places])
