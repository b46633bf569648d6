"""``runner ls``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from support.places import Place


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_ls_lists_flows_then_versions_and_runs(place: Place) -> None:
    url = publish(place, "etl.py")
    newest = publish(place, "etl.py")
    publish(place, "trouble.py")
    assert start(located(place, ETL) | {"RUNNER_RUN_ID": "r"}).code == 0
    flows = printed_json(run_command(place.environ, "ls", place.url, "--json"))["flows"]
    assert [(flow["flow"], flow["versions"]) for flow in flows] == [(ETL, 2), ("trouble", 1)]
    assert flows[0]["newest"] == newest.rpartition("/")[2]
    listed = printed_json(run_command(place.environ, "ls", f"{place.url}/{ETL}", "--json"))
    assert [version["location"] for version in listed["versions"]] == [url, newest]
    assert [(run["run"], run["state"], run["url"]) for run in listed["runs"]] == [("r", "succeeded", run_url(place))]
    text = run_command(place.environ, "ls", f"{place.url}/{ETL}").stdout
    assert newest.rpartition("/")[2] in text
    assert f"r    succeeded  {listed['runs'][0]['began']}  {run_url(place)}\n" in text
    assert f"\n{ETL}  2         " in run_command(place.environ, "ls", place.url).stdout


def test_ls_shows_what_it_can_where_a_run_cannot_be_read(ran: Place) -> None:
    assert start(located(ran, ETL) | {"RUNNER_RUN_ID": "s"}).code == 0
    original = ran.read(f"{ETL}/runs/r/outcome.json")
    ran.write(f"{ETL}/runs/r/outcome.json", original[:100])
    ran.write(f"{ETL}/runs/stray/notes.txt", b"no run")
    listed = printed_json(run_command({}, "ls", f"{ran.url}/{ETL}", "--json"))["runs"]
    ran.write(f"{ETL}/runs/r/outcome.json", original)
    states = {run["run"]: (run["state"], run["url"]) for run in listed}
    assert states == {
        "r": ("unreadable", run_url(ran)),
        "s": ("succeeded", run_url(ran, "s")),
        "stray": ("unreadable", run_url(ran, "stray")),
    }


def test_ls_of_nothing_says_so(here: Place) -> None:
    assert_refused(run_command({}, "ls", f"{here.url}/none"), 66, "there is no folder", "/none")
    here.write("empty/.tmp-left-over", b"")
    assert_refused(run_command({}, "ls", f"{here.url}/empty"), 66, "there is nothing at", "/empty")
    assert_refused(run_command({}, "ls", "ftp://x"), 2, "unknown scheme 'ftp'")


def test_ls_stops_quietly_when_its_reader_does(ran: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "runner", "ls", f"{ran.url}/{ETL}"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.stderr == b""


def test_ls_lists_bundles_with_keys_of_their_own(here: Place) -> None:
    publish(here, "trouble.py", key="team/release-1")
    listed = printed_json(run_command({}, "ls", f"{here.url}/team", "--json"))
    assert [version["location"] for version in listed["versions"]] == [f"{here.url}/team/release-1"]
    assert printed_json(run_command({}, "ls", here.url, "--json"))["flows"] == [
        {"flow": "team", "versions": 1, "newest": None}
    ]
