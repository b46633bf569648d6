"""Whoever is to hear of outcomes hears of each at least once, also when an agent dies in between."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import threading
import tracemalloc
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

import pytest

from runner.agents import hooks
from runner.agents.hooks import Hooks
from support import schemas
from support.agents import KILLED_LAUNCHER, Site
from support.launching import wait_for
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place

OUTCOME: Any = {"state": "failed", "exit_code": 1}


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def posts() -> Iterator[tuple[str, list[tuple[bytes, dict[str, str]]]]]:
    """The URL of a server that refuses the first post, and what it was given."""
    given: list[tuple[bytes, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given.append((self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers)))
            self.send_response(503 if len(given) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", given
        server.shutdown()


@contextmanager
def answering(answer: str) -> Iterator[tuple[str, list[str]]]:
    """The URL of a server that answers each connection with the same bytes, and the first lines that it was sent."""
    asked: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline().decode(errors="replace"))
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer.encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", asked
        server.shutdown()


def is_gone(pid: str) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_post_is_signed_names_its_run_and_is_tried_again(
    posts: tuple[str, list[tuple[bytes, dict[str, str]]]],
) -> None:
    url, given = posts
    told: list[str] = []
    Hooks(None, url, "secret", told.append).hear("s3://b/etl/runs/r", OUTCOME, "s3://b/etl/runs/r")
    assert len(given) == 2
    body, headers = given[1]
    assert json.loads(body) == {"run": "s3://b/etl/runs/r", "outcome": OUTCOME}
    assert headers["Idempotency-Key"] == "s3://b/etl/runs/r"
    assert headers[hooks.SIGNATURE] == "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert [line.rpartition(": ")[0] for line in told] == [
        "the webhook was not told of s3://b/etl/runs/r: HTTP Error 503"
    ]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_as_the_page_it_names_would_not_hear_of_the_run(code: int) -> None:
    with answering(f"HTTP/1.1 {code} Elsewhere\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n") as (url, asked):
        told: list[str] = []
        Hooks(None, url, None, told.append).hear("s3://b/etl/runs/r", OUTCOME, "s3://b/etl/runs/r")
    assert [line.split()[0] for line in asked] == ["POST"] * 3
    assert [line.partition(": ")[2] for line in told] == [f"HTTP Error {code}: Elsewhere"] * 3


@pytest.mark.parametrize("answer", ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 500 \r\n\r\n"])
def test_whatever_answers_or_does_not_ends_no_agent(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(hooks, "_ANSWER_SECONDS", 0.5)  # which the server lets pass that waits for a line's end
    with answering(answer) as (url, asked):
        told: list[str] = []
        Hooks(None, url, None, told.append).hear("s3://b/etl/runs/r", OUTCOME, "s3://b/etl/runs/r")
        Hooks(None, url.replace("http:", "https:"), None, told.append).hear(
            "s3://b/etl/runs/r", OUTCOME, "s3://b/etl/runs/r"
        )
    assert len([line for line in asked if line.startswith("POST")]) == 3
    assert len(told) == 6


def test_a_run_in_any_script_is_told(posts: tuple[str, list[tuple[bytes, dict[str, str]]]]) -> None:
    url, given = posts
    Hooks(None, url, None, print).hear("s3://b/日本語/runs/r-ü%20?", OUTCOME, "s3://b/日本語/runs/r-ü%20?")
    body, headers = given[1]
    assert json.loads(body)["run"] == "s3://b/日本語/runs/r-ü%20?"
    assert headers["Idempotency-Key"] == "s3://b/%E6%97%A5%E6%9C%AC%E8%AA%9E/runs/r-%C3%BC%20?"


def test_a_command_that_hangs_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the shell would be killed, and what it waits for would go on, once for each try."""
    monkeypatch.setattr(hooks, "_COMMAND_SECONDS", 0.5)
    told: list[str] = []
    command = f"(sleep 1000 & echo $! >>{tmp_path}/pids; wait) | cat"
    Hooks(command, None, None, told.append).hear("file:///f/runs/r", OUTCOME, "file:///f/runs/r")
    assert [line.rpartition(": ")[2] for line in told] == ["it did not end within 0.5 s, and was killed"] * 3
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 3
    wait_for(lambda: all(is_gone(pid) for pid in pids))


def test_a_command_may_leave_something_running_and_not_read_what_it_is_given(tmp_path: Path) -> None:
    told: list[str] = []
    large: Any = {**OUTCOME, "error": "x" * 1_000_000}
    command = f"sleep 1000 & echo $! >{tmp_path}/pid; exit 0"
    Hooks(command, None, None, told.append).hear("file:///f/runs/r", large, "file:///f/runs/r")
    assert told == []
    pid = (tmp_path / "pid").read_text().strip()
    assert not is_gone(pid)
    os.kill(int(pid), signal.SIGKILL)


def test_of_a_command_that_writes_much_the_last_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_PAUSES", (0.0,))
    told: list[str] = []
    command = "head -c 50000000 /dev/zero | tee /dev/stderr; echo the last >&2; exit 1"
    tracemalloc.start()
    Hooks(command, None, None, told.append).hear("file:///f/runs/r", OUTCOME, "file:///f/runs/r")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told[0].endswith("the last")
    assert most < 5_000_000


def test_a_command_that_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "x" * 131_072)  # more than Linux takes of one variable
    told: list[str] = []
    Hooks("true", None, None, told.append).hear("file:///f/runs/r", OUTCOME, "file:///f/runs/r")
    assert ["Argument list too long" in line for line in told] == [True] * 3


def test_a_command_that_fails_is_tried_three_times_and_said(tmp_path: Path) -> None:
    told: list[str] = []
    told_of = f'echo "$RUNNER_STATE $RUNNER_CODE $RUNNER_RUN_URL" >>{tmp_path}/heard; cat >{tmp_path}/body'
    command = f"{told_of}; echo no >&2; exit 3"
    Hooks(command, None, None, told.append).hear("file:///f/runs/r", OUTCOME, "file:///f/runs/r")
    assert (tmp_path / "heard").read_text().splitlines() == ["failed 1 file:///f/runs/r"] * 3
    assert json.loads((tmp_path / "body").read_text())["outcome"] == OUTCOME
    assert told == ["the command was not told of file:///f/runs/r: exit code 3: no"] * 3


@pytest.mark.parametrize("number", [1, 2])  # the entry, and the marker after the run
def test_an_agent_that_is_killed_before_it_has_told_is_followed_by_one_that_tells(
    here: Place, tmp_path: Path, number: int
) -> None:
    site, heard = Site(here, tmp_path / "launches").publish(), tmp_path / "heard"
    site.submit("ok", "r")
    hook = ("--on-outcome", f'echo "$RUNNER_STATE $RUNNER_RUN_URL" >>{heard}')
    with site.agent(*hook, program=(KILLED_LAUNCHER, "before", "delete", str(number))) as killed:
        killed.wait(60)
    with site.agent(*hook):
        wait_for(lambda: not site.markers() and not site.is_waiting("r") and len(site.register().folders()) == 1)
    assert set(heard.read_text().splitlines()) == {f"succeeded {site.store('r').url}"}
    schemas.validate_place(here)


def test_of_a_run_that_dies_or_never_begins_both_are_told_as_of_any_other(
    here: Place, tmp_path: Path, posts: tuple[str, list[tuple[bytes, dict[str, str]]]]
) -> None:
    """Neither has an outcome: the one may go on with another attempt, of the other none began."""
    url, given = posts
    site, heard = Site(here, tmp_path / "launches").publish(), tmp_path / "heard"
    hooks = ("--on-outcome", f'cat >>{heard}; echo " $RUNNER_STATE $RUNNER_CODE" >>{heard}', "--webhook", url)
    site.submit("segfault", "dies")
    with site.agent(*hooks):
        wait_for(lambda: heard.exists() and " crashed 139" in heard.read_text())
        wait_for(lambda: len(given) == 2 and not site.markers())
    told, _, code = heard.read_text().rpartition("} ")
    end = json.loads(told + "}")["outcome"]
    schemas.validate("end", end)
    assert (code, end["run_id"], end["state"]) == ("crashed 139\n", "dies", "crashed")
    assert given[1][1]["Idempotency-Key"] == f"{site.store('dies').url}/launches/0001"
    heard.unlink()
    site.submit("ok", "refused")
    site.environ["RUNNER_MIN_VERSION"] = "9999-01-01t00-00-00-000000-00-00"
    with site.agent(*hooks):
        wait_for(lambda: heard.exists() and "refused 79" in heard.read_text() and not site.markers())
    told, _, code = heard.read_text().rpartition("} ")
    end = json.loads(told + "}")["outcome"]
    schemas.validate("end", end)
    assert (code, end["run_id"], end["attempt"], end["tasks"]) == ("refused 79\n", "refused", 1, [])
    assert "launch 1 was not begun" in end["error"]["message"]
    assert not site.store("refused").read_outcome()
    assert not site.store("refused").list_attempts()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("example.com", "is no URL"),
        ("https://", "is no URL"),
        ("https://[::1/hook", "is no URL"),
        ("https://example.com:port/", "is no URL"),
        ("https://example.com/a hook", "is no URL"),
        ("https://example.com/häken", "is no URL"),
        ("https://user:password@example.com/", "names a user"),
    ],
)
def test_a_webhook_is_a_url_that_can_be_posted_to(here: Place, url: str, told: str) -> None:
    done = start(here.environ, "agent", "start", "local", "--storage", here.url, "--webhook", url)
    assert (done.code, told in done.stderr, "password" in done.stderr) == (2, True, False)


def test_a_command_that_is_empty_is_refused(here: Place) -> None:
    done = start(here.environ, "agent", "start", "local", "--storage", here.url, "--on-outcome", "")
    assert (done.code, "--on-outcome is empty" in done.stderr) == (2, True), done
