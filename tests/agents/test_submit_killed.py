"""A submit that dies, and one whose id is submitted again: the run is one, and what is left of it blocks nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.agents import KEY, KILLED_LAUNCHER, Site
from support.launching import wait_for
from support.starting import inherited, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place
    from support.starting import Ran

STEPS = ["create run/run.json", "create _queue/sets/SET.json", "create _queue/SET/ENTRY", "replace_unless_busy"]
LATER = "create _queue/at/ENTRY"
PAST = ("--at", "2026-11-28T06:00:00Z")
IN_NO_QUEUE = "in no queue"


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish(concurrency={"max_runs": 2, "on_conflict": "wait"}))
    schemas.validate_place(found.place)


def kill_submit(site: Site, run_id: str, moment: str, step: str) -> None:
    """Submit a run with a label of its own, and be killed at a step."""
    command = [sys.executable, KILLED_LAUNCHER, moment, step, "1", "submit", site.url, *options(run_id, step)]
    done = subprocess.run(command, env=inherited() | site.place.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done


def options(run_id: str, step: str) -> list[str]:
    return ["-p", "kind=ok", "--run-id", run_id, "-l", run_id, *(PAST if step == LATER else ())]


def submit_again(site: Site, run_id: str, step: str) -> Ran:
    return start(site.place.environ, "submit", site.url, *options(run_id, step))


def shown(site: Site, run_id: str) -> str:
    return start(site.place.environ, "show", f"{site.place.url}/{KEY}/runs/{run_id}").stdout


def test_a_submit_that_is_killed_at_a_step_blocks_nobody_and_is_done_again_under_its_id(site: Site) -> None:
    kills = {
        f"{moment}-{number}": (moment, step)
        for number, step in enumerate([*STEPS, LATER])
        for moment in ("before", "after")
    }
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: kill_submit(site, one[0], *one[1]), kills.items()))
    entered = ["after-2", "before-3", "after-3", "after-4"]
    lost = sorted(set(kills) - set(entered) - {"before-0"})
    assert not [run_id for run_id in kills if (IN_NO_QUEUE in shown(site, run_id)) is not (run_id in lost)]
    labels = [word for run_id in kills for word in ("-l", run_id)]
    with site.agent(*labels):
        assert set(site.until_over(*entered).values()) == {"succeeded"}
        assert site.submit("ok", "other").code == 0
        assert site.until_over("other") == {"other": "succeeded"}
        wait_for(lambda: not site.markers() and not any(map(site.is_waiting, kills)))
        assert not [run_id for run_id in lost if site.store(run_id).list_launches()]
        with ThreadPoolExecutor(4) as pool:
            again = pool.map(lambda one: submit_again(site, one[0], one[1][1]), kills.items())
        assert {done.code for done in again} == {0}
        assert set(site.until_over(*kills).values()) == {"succeeded"}
        wait_for(lambda: not site.markers() and not any(map(site.is_waiting, kills)))
    assert {(*site.store(run_id).list_launches(), *site.store(run_id).list_attempts()) for run_id in kills} == {(1, 1)}
    left = [key for key in site.place.keys() if key.startswith(("_queue/", "_agents/"))]  # noqa: SIM118
    assert [key for key in left if not key.startswith(("_queue/ring", "_queue/sets/"))] == []
