"""Whoever is to hear of outcomes: a command, or a URL. Each hears of every run at least once.

A run's marker stays until both have been told, so that an agent which dies in between is followed by one that tells
them; what hears of a run twice knows it by its URL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

from runner.environ import process_environ
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.schema.documents import EndDocument

_COMMAND_SECONDS, _ANSWER_SECONDS = 60.0, 10.0
_PAUSES = (0.0, 2.0, 10.0)  # seconds before each try
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

    def hear(self, run_url: str, outcome: EndDocument) -> None:
        """Let both hear of an outcome; where that fails three times it is given up, and said."""
        body = json.dumps({"run": run_url, "outcome": outcome}).encode()
        for name, work in (("command", self._run), ("webhook", self._post)):
            for pause in _PAUSES:
                time.sleep(pause)
                if not (problem := work(run_url, outcome, body)):
                    break
                self.tell(f"the {name} was not told of {run_url}: {redact(problem)}")

    def _run(self, run_url: str, outcome: EndDocument, body: bytes) -> str:
        if self.command is None:
            return ""
        about = {"RUNNER_RUN_URL": run_url, "RUNNER_STATE": outcome["state"], "RUNNER_CODE": str(outcome["exit_code"])}
        try:
            done = subprocess.run(  # noqa: S602 - whoever starts the agent wrote it
                self.command,
                shell=True,
                input=body,
                env={**process_environ(), **about},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {_COMMAND_SECONDS:g} s"
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"exit code {done.returncode}: {said}" if done.returncode else ""

    def _post(self, run_url: str, _outcome: EndDocument, body: bytes) -> str:
        if self.url is None:
            return ""
        headers = {"Content-Type": "application/json", "Idempotency-Key": run_url}
        if self.secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()}"
        request = urllib.request.Request(self.url, body, headers)  # noqa: S310 - its scheme was checked
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310
                return ""
        except (OSError, urllib.error.HTTPError, ValueError) as error:
            return str(error)
