"""Whoever is to hear of outcomes: a command, or a URL. Each hears of every run at least once.

A run's marker stays until both have been told, so that an agent which dies in between is followed by one that tells
them; what hears of a run twice knows it by its URL.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from runner.environ import process_environ
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.schema.documents import EndDocument

_COMMAND_SECONDS, _ANSWER_SECONDS = 60.0, 10.0
_LAST_WORDS_SECONDS = 1.0  # for what a command that has ended wrote last
_KEPT = 65536  # bytes of what it wrote
_PAUSES = (0.0, 2.0, 10.0)  # seconds before each try
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
SIGNATURE = "X-Runner-Signature"


class Hooks(NamedTuple):
    """Who is told of outcomes.

    Args:
        command: given to a shell, with the outcome on its standard input, and RUNNER_RUN_URL, RUNNER_STATE and
            RUNNER_CODE in its environment.
        url: where the outcome is posted as JSON.
        secret: signs what is posted: `SIGNATURE` is ``sha256=`` and the HMAC of the body, as GitHub's webhooks have it,
            https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        tell: given a line for people, where one cannot be told.
    """

    command: str | None
    url: str | None
    secret: str | None
    tell: Callable[[str], None]

    def hear(self, run_url: str, outcome: EndDocument, key: str) -> None:
        """Let both hear of an outcome, by this key; where that fails three times it is given up, and said."""
        body = json.dumps({"run": run_url, "outcome": outcome}).encode()
        for name, work in (("command", self._run), ("webhook", self._post)):
            for pause in _PAUSES:
                time.sleep(pause)
                if not (problem := work(run_url, outcome, body, key)):
                    break
                self.tell(f"the {name} was not told of {run_url}: {redact(problem)}")

    def _run(self, run_url: str, outcome: EndDocument, body: bytes, _key: str) -> str:
        if self.command is None:
            return ""
        about = {"RUNNER_RUN_URL": run_url, "RUNNER_STATE": outcome["state"], "RUNNER_CODE": str(outcome["exit_code"])}
        try:
            code, said = _run_command(self.command, body, {**process_environ(), **about})
        except OSError as error:  # no process, or no temporary file, can be made now
            return str(error)
        if code is None:
            return f"it did not end within {_COMMAND_SECONDS:g} s, and was killed"
        return f"exit code {code}: {said.strip().rpartition(chr(10))[2]}" if code else ""

    def _post(self, _run_url: str, _outcome: EndDocument, body: bytes, key: str) -> str:
        if self.url is None:
            return ""
        quoted = urllib.parse.quote(key, safe=_ASCII)  # no header has letters of other scripts
        headers = {"Content-Type": "application/json", "Idempotency-Key": quoted}
        if self.secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}"
        try:
            request = urllib.request.Request(self.url, body, headers)  # noqa: S310 - its scheme was checked
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=_ANSWER_SECONDS):
                return ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            return str(error) or type(error).__name__


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a failure: followed, a post would become a GET of a page that knows nothing of the run."""

    def redirect_request(self, *_: object) -> None:
        """Return no other request, so that the answer is an error."""


_RUNNING = set[int]()  # process groups of commands


def kill_commands() -> None:
    """Kill the commands that run, with all that they have started: nobody waits for them any more."""
    for group in list(_RUNNING):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _run_command(command: str, given: bytes, environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Run a shell command with this on its standard input; return its exit code and the end of what it complained of.

    Where it does not end in time all that it has started is killed, and the code is None. However much it writes,
    nothing is kept but the last of it; and nobody waits for what it leaves running.
    """
    with tempfile.TemporaryFile() as body:
        body.write(given)
        body.seek(0)
        process = subprocess.Popen(  # noqa: S602 - whoever starts the agent wrote it
            command,
            shell=True,
            stdin=body,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    _RUNNING.add(process.pid)
    said = bytearray()

    def keep_last() -> None:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        with process.stderr as stream:
            while data := os.read(stream.fileno(), _KEPT):
                said[:] = (said + data)[-_KEPT:]

    reader = threading.Thread(target=keep_last, daemon=True)
    reader.start()
    try:
        code = process.wait(_COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None, ""
    finally:
        _RUNNING.discard(process.pid)
    reader.join(_LAST_WORDS_SECONDS)
    return code, bytes(said).decode(errors="replace")
