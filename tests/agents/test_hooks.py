"""Whoever is to hear of outcomes hears of each at least once, also when an agent dies in between."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
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
    from pathlib import Path

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


def test_a_post_is_signed_names_its_run_and_is_tried_again(
    posts: tuple[str, list[tuple[bytes, dict[str, str]]]],
) -> None:
    url, given = posts
    told: list[str] = []
    Hooks(None, url, "secret", told.append).hear("s3://b/etl/runs/r", OUTCOME)
    assert len(given) == 2
    body, headers = given[1]
    assert json.loads(body) == {"run": "s3://b/etl/runs/r", "outcome": OUTCOME}
    assert headers["Idempotency-Key"] == "s3://b/etl/runs/r"
    assert headers[hooks.SIGNATURE] == "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert [line.rpartition(": ")[0] for line in told] == [
        "the webhook was not told of s3://b/etl/runs/r: HTTP Error 503"
    ]


def test_a_command_that_fails_is_tried_three_times_and_said(tmp_path: Path) -> None:
    told: list[str] = []
    told_of = f'echo "$RUNNER_STATE $RUNNER_CODE $RUNNER_RUN_URL" >>{tmp_path}/heard; cat >{tmp_path}/body'
    command = f"{told_of}; echo no >&2; exit 3"
    Hooks(command, None, None, told.append).hear("file:///f/runs/r", OUTCOME)
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


def test_a_webhook_is_a_url(here: Place) -> None:
    done = start(here.environ, "agent", "start", "local", "--storage", here.url, "--webhook", "example.com")
    assert (done.code, "is no URL of http or https" in done.stderr) == (2, True)
