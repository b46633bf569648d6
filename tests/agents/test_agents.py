"""Agents and the runs that wait for them: each is launched once, by one that has its labels, whoever dies."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runner.agents.register import marker_name
from support import schemas
from support.agents import KEY, KILLED_LAUNCHER, Site
from support.canary import AUTHOR
from support.launching import wait_for
from support.starting import inherited, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place

# Requests and calls of an agent that takes one run, before and after which it is killed.
STEPS = [
    ("replace", 1),
    ("replace", 3),
    ("replace", 4),
    ("create", 1),
    ("launch", 1),
    ("create", 2),
    ("delete", 1),
    ("describe", 1),
    ("create", 3),
    ("remove", 1),
    ("delete", 2),
]


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish())
    schemas.validate_place(found.place)


def test_what_waits_is_launched_once_and_has_a_true_outcome(place: Place, tmp_path: Path) -> None:
    site = Site(place, tmp_path / "launches").publish()
    submitted = site.submit("ok", "one")
    assert submitted.code == 0, submitted
    assert submitted.stdout.splitlines() == [site.store("one").url]
    assert "no agent is there" in submitted.stderr
    with site.agent():
        assert site.until_over("one") == {"one": "succeeded"}
        followed = site.submit("fail", "two", "--follow")
        assert (followed.code, followed.stderr) == (1, "")
        assert "it says fail" in followed.stdout
        wait_for(lambda: not site.markers())
        [agent] = json.loads(start(place.environ, "agents", place.url, "--json").stdout)["agents"]
        assert (agent["document"]["kind"], agent["runs"]) == ("local", [])
    assert not site.register().folders()
    assert not any(site.is_waiting(name) for name in ("one", "two"))
    for name in ("one", "two"):
        assert list(site.store(name).list_launches()) == list(site.store(name).list_attempts()) == [1]
    schemas.validate_place(place)


def test_a_run_waits_for_an_agent_with_all_its_labels(here: Place, tmp_path: Path) -> None:
    site = Site(here, tmp_path / "launches").publish("gpu")
    with site.agent("-l", "other", "--name", "without"):
        wait_for(lambda: bool(site.register().folders()))
        submitted = site.submit("ok", "r", "-l", "night")
        assert "has no label 'gpu', 'night'" in submitted.stderr
        shown = start(here.environ, "show", f"{here.url}/{KEY}/runs/r")
        assert "for an agent with gpu, night; without-" in shown.stdout
        assert not site.store("r").list_launches()
        with site.agent("-l", "night", "-l", "gpu", "-l", "more"):
            assert site.until_over("r") == {"r": "succeeded"}


def test_a_run_is_submitted_once_under_its_id(site: Site) -> None:
    for _ in range(2):
        assert site.submit("ok", "r").code == 0
    assert site.submit("fail", "r").code == 78
    assert sum(key.endswith("-r") for key in site.place.keys()) == 1  # noqa: SIM118
    with site.agent():
        site.until_over("r")
        wait_for(lambda: not site.is_waiting("r"))
        again = site.submit("ok", "r", "-f")
        assert again.code == 0
    assert not site.is_waiting("r")
    assert list(site.store("r").list_launches()) == [1]


def test_a_run_that_is_cancelled_while_it_waits_is_over_and_launched_by_nobody(site: Site) -> None:
    site.submit("ok", "r")
    assert start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/r").code == 0
    with site.agent():
        wait_for(lambda: not site.is_waiting("r") and not site.markers())
    assert site.until_over("r") == {"r": "cancelled"}
    assert not site.store("r").list_launches()


def test_a_run_is_launched_at_its_time_and_not_before(site: Site) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    site.submit("ok", "past", "--at", "2026-11-28T06:00:00Z", "--priority", "-3")
    site.submit("ok", "later", "--at", later)
    with site.agent():
        assert site.until_over("past") == {"past": "succeeded"}
        wait_for(lambda: not site.markers() and not site.is_waiting("past"))
    assert site.is_waiting("later")
    assert not site.store("later").list_launches()


def test_the_runs_of_an_agent_that_died_are_taken_by_another(site: Site) -> None:
    site.submit("hold", "r")
    with site.agent("--name", "first") as first:
        site.until_running("r")
        with site.agent("--name", "second"):
            wait_for(lambda: len(site.register().folders()) == 2)
            first.send_signal(signal.SIGKILL)
            wait_for(lambda: [marker.partition("-")[0] for marker in site.markers()] == ["second"])
            start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/r")
            assert site.until_over("r") == {"r": "cancelled"}
            wait_for(lambda: not site.markers())
            assert len(site.register().folders()) == 1
    assert list(site.store("r").list_launches()) == [1]


def test_an_agent_that_is_stopped_hands_its_runs_over(site: Site) -> None:
    site.submit("hold", "r")
    with site.agent("--name", "first"):
        site.until_running("r")
    assert [marker.partition("-")[0] for marker in site.markers()] == ["first"]
    with site.agent("--name", "second"):
        wait_for(lambda: [marker.partition("-")[0] for marker in site.markers()] == ["second"])
        start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/r")
        assert site.until_over("r") == {"r": "cancelled"}


def test_it_is_stopped_also_where_signals_were_blocked_for_it(site: Site) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with site.agent() as agent:
            wait_for(lambda: bool(site.register().folders()))
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_or_looks_after_them_to_their_ends(site: Site) -> None:
    site.submit("hold", "r")
    site.submit("ok", "later")
    with site.agent("--on-stop", "wait", "--concurrency", "1") as agent:
        site.until_running("r")
        agent.send_signal(signal.SIGTERM)
        start(site.place.environ, "cancel", f"{site.place.url}/{KEY}/runs/r")
        agent.wait(60)
    assert site.until_over("r") == {"r": "cancelled"}
    assert not site.register().folders()
    assert site.is_waiting("later")


def test_two_agents_share_what_waits_and_launch_each_run_once(site: Site) -> None:
    names = [f"run-{number}" for number in range(10)]
    for name in names:
        site.submit("ok", name)
    with site.agent("--concurrency", "2"), site.agent("--concurrency", "2"):
        assert set(site.until_over(*names).values()) == {"succeeded"}
    for name in names:
        assert list(site.store(name).list_launches()) == list(site.store(name).list_attempts()) == [1]
        assert not site.is_waiting(name)


@pytest.mark.parametrize(("step", "number"), STEPS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_agent_that_is_killed_at_a_step_loses_no_run(site: Site, moment: str, step: str, number: int) -> None:
    site.submit("ok", "r")
    with site.agent(program=(KILLED_LAUNCHER, moment, step, str(number))) as killed:
        assert killed.wait(60) == -signal.SIGKILL
    with site.agent():
        assert site.until_over("r") == {"r": "succeeded"}
        wait_for(lambda: not site.markers() and not site.is_waiting("r") and len(site.register().folders()) == 1)
    assert list(site.store("r").list_launches()) == list(site.store("r").list_attempts()) == [1]
    assert not [path for path in site.folder.glob("run-*") if path.is_dir()]


def test_what_died_is_launched_no_more_often_where_its_agent_dies_as_well(site: Site) -> None:
    site.submit("segfault", "r")
    give_up = ("--restarts", "1")
    with site.agent(*give_up, program=(KILLED_LAUNCHER, "before", "delete", "2")) as killed:  # the marker
        assert killed.wait(120) == -signal.SIGKILL
    with site.agent(*give_up):
        wait_for(lambda: not site.markers() and len(site.register().folders()) == 1)
    assert list(site.store("r").list_launches()) == list(site.store("r").list_attempts()) == [1, 2]


def test_an_agent_launches_nothing_that_nobody_signed_whom_it_trusts(site: Site) -> None:
    site.submit("ok", "r")
    site.environ = {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}
    with site.agent():
        wait_for(lambda: not site.is_waiting("r") and not site.markers())
    end = site.store("r").read_launch_end(1)
    assert end is not None
    assert (end["state"], end["reason"], end["exit_code"]) == ("never started", "Untrusted", 79)
    shown = start(site.place.environ, "show", site.store("r").url).stdout
    assert "waits    no more: it was given up with launch 1; submit it again" in shown
    assert not site.store("r").list_attempts()


def test_a_strangers_marker_has_nothing_removed_but_itself(site: Site) -> None:
    """Whoever may write, and not delete, would have any object removed as the entry of a run that is adopted."""
    marker = {
        "format": 1,
        "token": "0" * 32,
        "run_id": "r",
        "home": KEY,
        "entry": site.url.removeprefix(f"{site.place.url}/"),
        "kind": "local",
        "taken": "2026-11-28T06:00:00.000000+00:00",
        "taken_by": "x",
    }
    site.place.write(f"_agents/x/{marker_name(KEY, 'r')}", json.dumps(marker).encode())
    with site.agent():
        wait_for(lambda: not site.markers())
    assert site.place.read(str(marker["entry"]))


def test_what_a_stranger_puts_into_the_queue_is_removed_and_launches_nothing(site: Site) -> None:
    site.submit("ok", "r")
    [entry] = [key for key in site.place.keys() if key.endswith("-r")]  # noqa: SIM118
    strange = {
        entry.replace("-r", "-s"): site.place.read(entry),
        entry.replace("-r", "-t"): b"{",
        entry.replace("-r", "-u"): json.dumps(json.loads(site.place.read(entry)) | {"run_id": "u"}).encode(),
        entry.replace("-r", "-v"): json.dumps(
            json.loads(site.place.read(entry)) | {"run_id": "v", "home": "../up"}
        ).encode(),
        entry.replace("-r", "-w"): json.dumps(json.loads(site.place.read(entry)) | {"run_id": "w"}).encode(),
        f"{KEY}/runs/w/run.json": b"{",
        "_queue/0123456789abcdef/5020261128000000000000-r": site.place.read(entry),
        "_queue/sets/0123456789abcdef.json": b'{"format": 1, "token": "x", "labels": []}',
        "_agents/x/agent.json": b"{}",
        "_agents/x/runs/00000000-r": b'{"format": 1}',  # with the next beat
    }
    for key, data in strange.items():
        site.place.write(key, data)
    with site.agent():
        assert site.until_over("r") == {"r": "succeeded"}
        wait_for(lambda: not any(site.is_waiting(name) for name in "stuvw") and not site.markers())
    assert "_queue/0123456789abcdef/5020261128000000000000-r" in site.place.keys()  # noqa: SIM118 - of no set
    for key in strange:
        site.place.open().delete(key)
    assert [key for key in site.place.keys() if "/runs/" in key and "/runs/r/" not in key] == []  # noqa: SIM118


def test_an_agent_below_what_is_not_there_waits_for_no_run(place: Place) -> None:
    scheme, _, path = place.url.partition("://")
    url = f"{place.url}/typo" if scheme == "file" else f"{scheme}://{path.partition('/')[0]}-typo"
    done = start(place.environ, "agent", "start", "local", "--storage", url)
    assert (done.code, "there is no " in done.stderr) == (66, True), done
    assert not place.keys()


def test_an_agent_that_runs_no_container_takes_no_image_and_refuses_no_run_for_it(here: Place) -> None:
    done = start(here.environ, "agent", "start", "local", "--storage", here.url, "--image", "team/etl:7")
    assert (done.code, "the image team/etl:7 is asked for" in done.stderr) == (2, True), done


def test_a_run_that_was_given_up_is_told_to_who_follows_it_and_launched_by_no_heir(site: Site) -> None:
    """Its agent died before it had removed the marker: who takes that finds in the bucket that no budget is left."""
    with site.agent():
        followed = site.submit("segfault", "r", "--follow")
        assert followed.code == 139, followed
        wait_for(lambda: not site.markers())
    end = site.store("r").read_launch_end(1)
    assert end is not None
    assert end["given_up"]
    [entry] = [str(request["entry"]) for request in [site.store("r").read_request()] if request]
    marker = {"format": 1, "token": "0" * 32, "run_id": "r", "home": KEY, "entry": entry, "kind": "local"}
    marker |= {"taken": "2026-11-28T06:00:00.000000+00:00", "taken_by": "gone"}
    site.place.write(f"_agents/gone/{marker_name(KEY, 'r')}", json.dumps(marker).encode())
    with site.agent():
        wait_for(lambda: not site.markers())
        assert list(site.store("r").list_launches()) == [1]
        assert site.submit("segfault", "r", "--follow").code == 139
        wait_for(lambda: not site.markers())
    assert list(site.store("r").list_launches()) == [1, 2]
    assert site.submit("segfault", "r").code == 0
    site.place.write(f"_agents/gone/{marker_name(KEY, 'r')}", json.dumps(marker).encode())
    [labels] = [key for key in site.place.keys() if "_queue/sets/" in key]  # noqa: SIM118
    site.place.open().delete(labels)  # so that it is taken from the dead alone
    with site.agent():
        wait_for(lambda: not site.markers())
    assert list(site.store("r").list_launches()) == [1, 2, 3]
    assert not site.is_waiting("r")


def test_a_run_is_shown_from_its_waiting_to_its_end(site: Site) -> None:
    assert site.submit("fail", "r").code == 0
    command = [sys.executable, "-m", "runner", "show", site.store("r").url, "-f"]
    environ = inherited() | site.place.environ
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shown:
        assert shown.stderr is not None
        assert "waits for an agent; no agent is there" in shown.stderr.readline()
        with site.agent():
            stdout, stderr = shown.communicate(timeout=60)
    assert shown.returncode == 0, stderr
    assert re.search(r"^state +failed$", stdout, re.MULTILINE), (stdout, stderr)
