"""What `runner submit` takes, and what it refuses before anything is written: a run that no agent would take."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.agents.register import last_sign
from runner.environments import LocalEnvironment
from runner.errors import UsageError
from runner.naming import LONGEST_LABEL, check_labels
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.storage import S3
from support import schemas
from support.agents import KEY, Site
from support.launching import wait_for
from support.places import s3_place
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place
    from support.servers import Server

NO_LABELS = ["", " ", "gpu ", "a\nb", "\x07", "\ud800", "l" * (LONGEST_LABEL + 1)]


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish())
    schemas.validate_place(found.place)


@pytest.mark.parametrize("label", NO_LABELS)
def test_what_is_no_label_is_none_anywhere(label: str) -> None:
    """Two labels of a line each, and one of two lines, would be one set: whoever has both would never take its runs."""
    for declare in (
        check_labels,
        lambda labels: S3("b", labels=labels),
        lambda labels: LocalEnvironment(labels=labels),
    ):
        with pytest.raises(UsageError, match="is no label"):
            declare(["gpu", label])


def test_nor_is_it_for_a_run_or_an_agent(site: Site) -> None:
    submitted = site.submit("ok", "r", "-l", "a\nb")
    started = start(site.place.environ, "agent", "start", "local", "--storage", site.place.url, "-l", "")
    assert [(done.code, "is no label" in done.stderr) for done in (submitted, started)] == [(2, True)] * 2
    assert not [key for key in site.place.keys() if "/runs/" in key or key.startswith("_")]  # noqa: SIM118


def test_any_other_word_is_one(site: Site) -> None:
    odd = 'ünï 🎉 "q", /../ *'
    with site.agent("-l", odd, "-l", "l" * LONGEST_LABEL):
        site.submit("ok", "r", "-l", odd, "-l", "l" * LONGEST_LABEL)
        assert site.until_over("r") == {"r": "succeeded"}


@pytest.mark.parametrize(
    ("time", "hint"),
    [
        ("0001-01-01T00:00:00+14:00", "Write 2026"),
        ("9999-12-31T23:59:59-14:00", "Write 2026"),
        ("tomorrow", "Write 2026"),
        ("", "Write 2026"),
        ("2026-11-28", "Write 2026-11-28T00:00:00Z for UTC"),
        ("2026-10-25T02:30", "Write 2026-10-25T02:30:00Z for UTC"),  # which Berlin has twice
    ],
)
def test_a_time_is_one_of_a_zone_in_which_it_is_once(site: Site, time: str, hint: str) -> None:
    done = site.submit("ok", "r", "--at", time)
    assert (done.code, hint in done.stderr) == (2, True), done
    assert not [key for key in site.place.keys() if "/runs/" in key]  # noqa: SIM118


def test_a_far_time_keeps_no_agent_from_a_near_one(site: Site) -> None:
    site.submit("ok", "never", "--at", "9999-12-31T23:59:59Z")
    site.submit("ok", "past", "--at", "1999-12-31T23:59:59+01:00")
    with site.agent():
        assert site.until_over("past") == {"past": "succeeded"}
    assert site.is_waiting("never")


def test_what_waits_for_a_time_begins_with_the_next_look_at_the_doorbell(site: Site) -> None:
    """And not with the next listing, of which there is one a minute."""
    with site.agent():
        wait_for(lambda: site.register().folders())
        soon = datetime.now(UTC) + timedelta(seconds=12)
        assert site.submit("ok", "r", "--at", soon.isoformat()).code == 0
        until = f"waits    until {soon.strftime('%Y-%m-%dT%H:%M:%SZ')}, and then for an agent"
        assert until in start(site.place.environ, "show", site.store("r").url).stdout
        wait_for(lambda: site.store("r").read_outcome(), 60)


def test_what_an_agent_has_no_room_for_is_told_what_it_waits_for(here: Place, tmp_path: Path) -> None:
    site = Site(here, tmp_path / "launches").publish("vm", concurrency={"max_runs": 1, "on_conflict": "wait"})
    with site.agent("-l", "vm", "--concurrency", "1"):
        site.submit("hold", "works")
        site.until_running("works")
        site.submit("ok", "waits")
        shown = start(here.environ, "show", site.store("waits").url).stdout
        assert "waits    for an agent with vm; its flow's places are taken by works\n" in shown
        for key in [key for key in here.keys() if "/_slots/" in key]:  # noqa: SIM118
            here.open().delete(key)
        shown = start(here.environ, "show", site.store("waits").url).stdout
        assert re.search(r"waits    for an agent with vm; \S+ has as many runs as it may: 1\n", shown)
        assert start(here.environ, "cancel", site.store("works").url).code == 0
        assert site.until_over("works", "waits") == {"works": "cancelled", "waits": "succeeded"}


def test_a_run_that_never_begins_ends_all_that_follow_it_with_its_reason(site: Site) -> None:
    site.publish(secrets=("NOWHERE",))
    with site.agent():
        site.submit("ok", "r")
        url = site.store("r").url
        followed = start(site.place.environ, "logs", url, "-f")
        submitted = site.submit("ok", "r", "--follow")
        shown = start(site.place.environ, "show", url)
    assert (followed.code, "given up: launch 1 was not begun: " in followed.stderr) == (0, True), followed
    assert (submitted.code, "secret NOWHERE is nowhere" in submitted.stderr) == (78, True), submitted
    assert re.search(r"^said +.*secret NOWHERE is nowhere", shown.stdout, re.MULTILINE), shown


def test_two_roots_in_one_bucket_have_agents_of_their_own(
    moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, text in moto.environ.items():
        monkeypatch.setenv(variable, text)
    whole = s3_place(moto)
    places = [replace(whole, url=f"{whole.url}{below}") for below in ("", "/team")]
    sites = [Site(place, tmp_path / f"launches-{number}").publish() for number, place in enumerate(places)]
    for site in sites:
        site.submit("ok", "r")

    def states(below: str) -> list[str]:
        found = RunStore(whole.open(), RunLayout(f"{below}{KEY}", "r")).read_outcome()
        return [found["state"]] if found else []

    with sites[0].agent():
        wait_for(lambda: states("") == ["succeeded"])
        assert states("team/") == []
        assert any(key.startswith("team/_queue/") and key.endswith("-r") for key in whole.keys())  # noqa: SIM118
        with sites[1].agent():
            wait_for(lambda: states("team/") == ["succeeded"])
            assert "no agent" not in sites[0].submit("ok", "again", "--storage", f"{whole.url}/team").stderr
            again = RunStore(whole.open(), RunLayout(KEY, "again"))
            wait_for(lambda: again.read_outcome() is not None)
            [launch] = again.list_launches()
            assert again.read_launch(launch)


@pytest.mark.parametrize("other", ["s3://other/root", "up"])
def test_a_root_in_another_bucket_has_no_agents_that_would_find_the_run(site: Site, other: str) -> None:
    root = f"{site.place.url}/up" if other == "up" else other
    done = site.submit("ok", "r", "--storage", root)
    assert (done.code, f"where no agent of {root} looks" in done.stderr) == (2, True), done
    assert not [key for key in site.place.keys() if "/runs/" in key or "_queue" in key]  # noqa: SIM118
    assert site.submit("ok", "r", "--storage", site.place.url).code == 0


def test_a_followed_run_is_told_as_json_line_by_line(site: Site) -> None:
    with site.agent():
        done = site.submit("fail", "r", "--follow", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert "it says fail" in [line.get("message") for line in lines]
    assert (lines[-1]["run"], lines[-1]["end"]["exit_code"]) == (site.store("r").url, 1)
    assert KEY in lines[-1]["run"]


def test_an_agent_that_died_takes_no_run_and_that_is_told(site: Site) -> None:
    """No other one is there that would take it out of the register."""
    with site.agent("--name", "first") as first:
        wait_for(lambda: any(map(last_sign, site.register().folders().values())))
        assert site.submit("ok", "r").stderr == ""
        site.until_over("r")
        wait_for(lambda: not site.markers())
        first.send_signal(signal.SIGKILL)
        first.wait(60)
    [name] = site.register().folders()
    was = time.time() - 3600
    for path in Path(site.place.url.removeprefix("file://"), "_agents", name).iterdir():
        os.utime(path, (was, was))
    told = f"{name} has shown no sign of life for 60 min"
    assert told in site.submit("ok", "late").stderr
    assert told in start(site.place.environ, "show", site.store("late").url).stdout
    shown = start(site.place.environ, "agents", site.place.url)
    assert "60 min ago" in shown.stdout
    [agent] = json.loads(start(site.place.environ, "agents", site.place.url, "--json").stdout)["agents"]
    assert agent["silent"] > 3500
