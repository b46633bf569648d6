"""Command lines as a user types them, run in the test's own process."""

from __future__ import annotations

import json
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from runner import cli
from support.starting import Ran

if TYPE_CHECKING:
    from support.places import Place

ETL = "e-t-l-taglich"  # the key of the flow in etl.py


def run_command(environ: dict[str, str], *arguments: str, cwd: Path | None = None) -> Ran:
    """Run a command line in this process, which takes a tenth of the time."""
    stdout, stderr = TextIOWrapper(BytesIO(), "utf-8", newline="\n"), StringIO()
    with (
        mock.patch.dict(os.environ, environ),
        mock.patch.object(sys, "argv", ["runner", *arguments]),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        chdir(cwd or Path.cwd()),
    ):
        code = cli.main()
    stdout.flush()
    return Ran(code, stdout.buffer.getvalue().decode(), stderr.getvalue())


def printed_json(done: Ran) -> Any:
    """Return what --json printed: one JSON document and nothing beside it."""
    assert done.code == 0, done
    return json.loads(done.stdout)


def assert_refused(done: Ran, code: int, *words: str) -> None:
    """Check that a command failed with one sentence on standard error that has these words, and no traceback."""
    assert done.code == code, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def run_url(place: Place, run_id: str = "r", home: str = ETL) -> str:
    return f"{place.url}/{home}/runs/{run_id}"
