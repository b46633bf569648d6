"""Who takes up the runs of an agent that died: one that could, whatever its clock says, and nobody while it lives."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import support.agents
from harness.faults.proxy import Fault, Proxy
from runner.agents.neighbours import Neighbours
from runner.agents.queue import Queue
from runner.agents.register import Register
from runner.errors import EnvironmentWrong, RunnerError
from runner.runs.claims import MISSED_HEARTBEATS
from support import schemas
from support.agents import Site, agent_of
from support.launching import wait_for
from support.places import s3_place
from support.starting import start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from runner.schema.documents import RunMarker
    from support.places import Place
    from support.servers import Server

CLOCK = Path(support.agents.__file__).with_name("clock")
HOUR = 3600
SAME_LETTERS = """
import os, sys
from runner import cli
random = os.urandom
os.urandom = lambda count: b"abc" if count == 3 else random(count)  # the end of an agent's id
sys.exit(cli.main())
"""


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish())
    schemas.validate_place(found.place)


@contextmanager
def with_clock(site: Site, offset: float, name: str) -> Iterator[subprocess.Popen[str]]:
    """An agent, and what it launches, on a machine whose clock is wrong."""
    site.environ = {"PYTHONPATH": str(CLOCK), "CLOCK_OFFSET": str(offset)}
    with site.agent("--name", name, "-l", name) as agent:
        site.environ = {}
        yield agent


def new_beats(site: Site) -> Callable[[], bool]:
    """Return what tells whether each agent has beaten again."""
    beats = {name: site.register().read_beat(name) for name in site.register().folders()}
    return lambda: all(site.register().read_beat(name) != beat for name, beat in beats.items())


def owners(site: Site) -> dict[str, str]:
    """The agent's name by the run whose marker it has."""
    markers = (marker.split("/runs/") for marker in site.markers())
    return {run.partition("-")[2]: agent.rpartition("-")[0] for agent, run in markers}


def test_a_clock_that_is_wrong_by_an_hour_takes_nobody_for_dead_and_nobody_for_alive(site: Site) -> None:
    for name in ("ahead", "behind"):
        site.submit("hold", name, "-l", name)
    with (
        site.agent("--name", "right", "-l", "ahead", "-l", "behind", "--concurrency", "1") as right,
        with_clock(site, HOUR, "ahead") as ahead,
        with_clock(site, -HOUR, "behind"),
    ):
        wait_for(lambda: len(site.register().folders()) == 3)
        site.until_running("ahead")
        site.until_running("behind")
        known = owners(site)
        for _ in range(4):  # as many beats as a death takes, and one
            wait_for(new_beats(site))
        assert owners(site) == known
        assert len(site.register().folders()) == 3
        ahead.send_signal(signal.SIGKILL)
        right.send_signal(signal.SIGTERM)
        right.wait(60)
        with with_clock(site, 2 * HOUR, "ahead"), site.agent("--name", "heir", "-l", "ahead", "-l", "behind"):
            wait_for(lambda: set(owners(site)) == {"ahead", "behind"} and "right" not in owners(site).values())
            wait_for(lambda: len(site.register().folders()) == 3)
            for name in ("ahead", "behind"):
                start(site.place.environ, "cancel", site.store(name).url)
            assert set(site.until_over("ahead", "behind").values()) == {"cancelled"}
            wait_for(lambda: not site.markers())
    assert [list(site.store(name).list_launches()) for name in ("ahead", "behind")] == [[1], [1]]


def test_an_id_has_one_agent(site: Site) -> None:
    site.submit("ok", "r")
    with site.agent("--name", "twin", program=("-c", SAME_LETTERS)):
        wait_for(lambda: bool(site.register().folders()))
        with site.agent("--name", "twin", program=("-c", SAME_LETTERS)) as second:
            assert second.wait(60) == EnvironmentWrong.code
        assert list(site.register().folders()) == ["twin-616263"]
        assert site.until_over("r") == {"r": "succeeded"}
    assert list(site.store("r").list_launches()) == [1]


def test_runs_of_the_dead_are_taken_by_those_on_their_platform_with_their_labels(site: Site) -> None:
    site.submit("ok", "r", "-l", "gpu")
    [entry] = [key for key in site.place.keys() if key.endswith("-r")]  # noqa: SIM118
    living = [
        agent_of("other-platform", "docker", "gpu"),
        agent_of("other-labels", "local", "cpu"),
        agent_of("right", "local", "gpu", "cpu"),
    ]
    for each in living:
        site.register().enter(each)
    marker: RunMarker = {
        "format": 1,
        "token": "0" * 32,
        "run_id": "r",
        "home": "launched",
        "entry": entry,
        "kind": "local",
        "taken": "2026-11-28T06:00:00.000000+00:00",
        "taken_by": "dead",
    }
    site.register().mark(marker)
    taken = {each["agent"]: list(Neighbours(site.register(), each, site.queue()).left_behind()) for each in living}
    assert taken == {"other-platform": [], "other-labels": [], "right": [marker]}
    site.register().forget("right")
    assert not list(Neighbours(site.register(), living[0], site.queue()).left_behind())
    assert site.markers() == [f"dead/{name}" for name in site.register().folders()["dead"]]


def test_a_storage_that_was_away_for_all_has_nobody_taken_for_dead(moto: Server) -> None:
    place, beat = s3_place(moto), 0.2
    watched = agent_of("watched", "local")
    watched["beat"] = beat
    with Proxy("s3", moto.url) as proxy:
        through = replace(place, environ=place.environ | {"AWS_ENDPOINT_URL": proxy.url})
        register = Register(through.open(patience=MISSED_HEARTBEATS * beat), "")
        register.enter(watched)
        register.write_beat(watched, 1)
        looks = Neighbours(register, agent_of("own", "local"), Queue(register.storage, ""))
        assert list(looks.left_behind()) == []
        proxy.fault = lambda _: Fault("reset")
        with pytest.raises(RunnerError):
            list(looks.left_behind())
        time.sleep(MISSED_HEARTBEATS * beat)
        proxy.fault = lambda _: None
        assert list(looks.left_behind()) == []
        assert "agent.json" in register.folders()["watched"]
        wait_for(lambda: list(looks.left_behind()) == [] and "watched" not in register.folders())
