"""``runner ls``."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located, publish
from support.run_documents import write_run
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

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
    assert [version["location"] for version in listed["versions"]] == [newest, url]
    assert [(run["run"], run["state"], run["url"]) for run in listed["runs"]] == [("r", "succeeded", run_url(place))]
    text = run_command(place.environ, "ls", f"{place.url}/{ETL}").stdout
    assert newest.rpartition("/")[2] in text
    assert f"r    succeeded  {listed['runs'][0]['began']}  {run_url(place)}\n" in text
    assert f"\n{ETL}  2         " in run_command(place.environ, "ls", place.url).stdout


def test_ls_hides_nothing_where_a_flow_has_the_name_of_the_folder_of_runs(here: Place, tmp_path: Path) -> None:
    file = tmp_path / "runs.py"
    file.write_text("def runs(): ...\ndef etl(): ...\n")
    for name in ("runs", "etl"):
        assert start({}, "build", f"{file}:{name}", "--storage", here.url).code == 0
        assert start(located(here, name) | {"RUNNER_RUN_ID": "r"}).code == 0
    flows = printed_json(run_command({}, "ls", here.url, "--json"))["flows"]
    assert [(flow["flow"], flow["versions"]) for flow in flows] == [("etl", 1), ("runs", 1)]
    for name in ("runs", "etl"):
        assert [run["run"] for run in printed_json(run_command({}, "ls", f"{here.url}/{name}", "--json"))["runs"]] == [
            "r"
        ]


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
    assert listed["versions"] == []
    assert [one["location"] for one in listed["others"]] == [f"{here.url}/team/release-1"]
    assert "OTHER OBJECT  SIZE\nrelease-1 " in run_command({}, "ls", f"{here.url}/team").stdout
    assert printed_json(run_command({}, "ls", here.url, "--json"))["flows"] == [
        {"flow": "team", "versions": 0, "newest": None}
    ]


def test_ls_counts_as_versions_only_what_is_named_like_one(here: Place) -> None:
    """Also beside a stray object at the root, and where some folder has nothing to do with flows."""
    for name in ("2026-11-22t12", "2026-11-23t12", "notes.txt", "latest.json"):
        here.write(f"etl/{name}", b"x")
    for key in ("README", "_queue/ring", "_doctor/x"):
        here.write(key, b"x")
    listed = printed_json(run_command({}, "ls", here.url, "--json"))
    assert listed == {"flows": [{"flow": "etl", "versions": 2, "newest": "2026-11-23t12"}], "more": {"flows": 0}}
    of_flow = printed_json(run_command({}, "ls", f"{here.url}/etl", "--json"))
    assert [one["location"].rpartition("/")[2] for one in of_flow["others"]] == ["notes.txt"]


def test_ls_lists_the_newest_and_says_how_many_more_there_are(here: Place) -> None:
    for number in range(25):
        here.write(f"etl/2026-11-22t{number:02d}", b"x")
        here.write(f"flow-{number:02d}/2026-11-22t00", b"x")
        here.write(f"etl/runs/r{number:02d}/notes", b"no run")

    def listed(*arguments: str) -> tuple[list[str], list[str], dict[str, int]]:
        found = printed_json(run_command({}, "ls", f"{here.url}/etl", "--json", *arguments))
        return [one["location"][-2:] for one in found["versions"]], [one["run"] for one in found["runs"]], found["more"]

    versions, runs, more = listed()
    assert (versions[0], versions[-1], runs[0], runs[-1]) == ("24", "05", "r24", "r05")
    assert more == {"versions": 5, "others": 0, "aliases": 0, "runs": 5}
    assert listed("-n", "2") == (["24", "23"], ["r24", "r23"], {"versions": 23, "others": 0, "aliases": 0, "runs": 23})
    assert [len(each) for each in listed("--all")[:2]] == [25, 25]
    assert run_command({}, "ls", f"{here.url}/etl").stdout.count("and 5 more, which --all lists\n") == 2
    assert "and 6 more" in run_command({}, "ls", here.url).stdout
    assert_refused(run_command({}, "ls", here.url, "-n", "0"), 2, "-n")


def test_ls_sorts_given_run_ids_and_dated_ones_by_when_they_began(here: Place) -> None:
    publish(here, "etl.py")
    given = ["z-first", None, "a-last"]
    for run_id in given:
        assert start(located(here, ETL) | ({"RUNNER_RUN_ID": run_id} if run_id else {})).code == 0
    runs = printed_json(run_command({}, "ls", f"{here.url}/{ETL}", "--json"))["runs"]
    assert [runs[0]["run"], runs[2]["run"]] == ["a-last", "z-first"]
    assert [run["began"] for run in runs] == sorted((run["began"] for run in runs), reverse=True)
    newest = printed_json(run_command({}, "ls", f"{here.url}/{ETL}", "--json", "-n", "2"))["runs"]
    assert newest[1] == runs[1]  # one of two given ids was looked at, and the dated one


def test_ls_lists_runs_in_some_states_and_since_a_time(here: Place) -> None:
    states = ["succeeded", "failed", "lost"]
    for number in range(90):
        write_run(here, f"202611{number % 30 + 1:02d}t06000{number // 30}-000000-abcdef", state=states[number % 3])
    write_run(here, "day-1", state="failed", began="2026-11-29T00:00:00.000000+00:00")
    write_run(here, "day-2", state="failed", began="2026-10-29T00:00:00.000000+00:00")
    write_run(here, "waits", state=None)

    def listed(*arguments: str) -> tuple[list[str], int]:
        found = printed_json(run_command({}, "ls", f"{here.url}/etl", "--json", *arguments))
        return [run["run"] for run in found["runs"]], found["more"]["runs"]

    failed, more = listed("--state", "failed", "--all")
    assert (len(failed), failed[-1], more) == (32, "day-2", 0)
    assert failed == [*sorted(failed[:-1], key=lambda run: run.replace("day-1", "20261129"), reverse=True), "day-2"]
    assert listed("--state", "failed", "-n", "2") == (failed[:2], 47)
    assert len(listed("--state", "failed", "--state", "lost", "--all")[0]) == 62
    assert listed("--state", "asked-for")[0] == ["waits"]
    recent, _ = listed("--since", "2026-11-29")
    dated = [f"202611{day}t06000{second}-000000-abcdef" for day in (30, 29) for second in (2, 1, 0)]
    assert recent == [*dated, "day-1", "waits"]
    assert listed("--since", "2026-11-29T06:00:01", "--state", "failed")[0] == dated[3:5]
    assert listed("--since", "2026-11-30T07:00:01+01:00", "--state", "lost")[0] == dated[:2]
    assert listed("--since", "9999w")[0][0] == "20261130t060002-000000-abcdef"
    assert (
        "and 47 more, which --all looks at"
        in run_command({}, "ls", f"{here.url}/etl", "--state", "failed", "-n", "2").stdout
    )


def test_ls_refuses_a_time_that_is_none_and_to_choose_among_the_runs_of_what_is_no_flow(here: Place) -> None:
    write_run(here, "r")
    for text in ("30", "-3d", "99999999w", "soon", "10000-01-01"):
        assert_refused(run_command({}, "ls", f"{here.url}/etl", "--since", text), 2, "is no time: write 30d")
    assert_refused(run_command({}, "ls", f"{here.url}/etl", "--state", "done"), 2, "'done' is not one of")
    assert_refused(run_command({}, "ls", here.url, "--state", "lost"), 2, "is none", "runner ls lists them")


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_ls_asks_for_runs_side_by_side_and_only_for_those_that_it_lists(place: Place) -> None:
    """5,000 runs took 5,002 requests in a row, and 48 seconds."""
    for number in range(60):
        place.write(f"etl/runs/r{number:02d}/outcome.json", b"{}")
    with _Gathering(place.environ["AWS_ENDPOINT_URL"]) as relay:
        environ = place.environ | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
        assert len(printed_json(run_command(environ, "ls", f"{place.url}/etl", "--json"))["runs"]) == 20
    assert sum("outcome.json" in path for _, path in relay.requests) == 20
    assert sum("list-type" in path for _, path in relay.requests) == 2
    for number in range(60):
        place.open().delete(f"etl/runs/r{number:02d}/outcome.json")


class _Gathering(Relay):
    """Answers for no outcome before five are asked for at once."""

    together = threading.Barrier(5)

    def fault(self, method: str, path: str, name: str, headers: Message) -> Fault | None:
        if "outcome.json" in path:
            self.together.wait(60)
        return super().fault(method, path, name, headers)


def test_a_listing_without_sizes_is_listed() -> None:
    """An answer of Google's form that says nothing of sizes ended ``ls`` with 70."""

    class Vague(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"items": [{"name": "etl/2026-11-22t12", "updated": "2026-11-22T12:00:00Z"}, {"name": "etl/x"}]}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Vague) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.server_port}"}
        done = run_command(environ, "ls", "gs://bucket/etl")
        server.shutdown()
    assert done.code == 0, done
    assert "2026-11-22t12  0 B" in done.stdout
