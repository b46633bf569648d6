"""What becomes of all runs of some teams of agents, in which each agent is killed, and people cancel runs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from harness.agents.team import PATIENCE, Team

if TYPE_CHECKING:
    from collections.abc import Callable


def play(teams: list[Team], patience: float = PATIENCE) -> None:
    """Let the agents of all teams do their work, be killed in the middle of it, and be followed by others.

    Raises AssertionError for whatever is lost, doubled, wrong or left.
    """

    def wait_for(condition: Callable[[Team], bool], what: str) -> None:
        until = time.monotonic() + patience
        while late := [team for team in teams if not condition(team)]:
            assert time.monotonic() < until, f"no {what}:\n" + "\n".join(team.evidence() for team in late)
            time.sleep(0.5)

    with ExitStack() as stack:
        for team in teams:
            stack.enter_context(team).submit()
        for team in teams:
            team.start("1")
        wait_for(lambda team: all(map(team.has_begun, team.held)), "beginning")
        for team in teams:
            team.kill()
        for team in teams:
            team.start("2")
        wait_for(lambda team: all(map(team.is_adopted, team.held)), "adoption")
        for team in teams:
            team.cancel(*team.held)
        wait_for(Team.is_quiet, "quiet")
        codes = [code for team in teams for code in team.stop()]
        wrong = [f"{team.site.place.url} {each}" for team in teams for each in team.violations()]
        for team in teams:
            assert not wrong, "\n".join([*wrong, team.evidence()])
        assert set(codes) == {0}
        print(
            f"\n{sum(len(team.planned) for team in teams)} runs in {len(teams)} storages, {len(codes)} agents killed "
            f"and {len(codes)} that followed them: 0 lost, 0 doubled, none by a wrong agent, nothing left"
        )
