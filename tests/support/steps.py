"""The flow of ``steps.py``: runs of it that are held in their last task, stopped, and looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.runs import documents
from runner.runs.layout import RunLayout
from support.flows import located, publish
from support.starting import KEPT, Ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.places import Place

FOLDER = RunLayout("steps", "r")


def calls(notes: Path) -> list[str]:
    return [line.partition(" ")[0] for line in (notes / "calls").read_text().splitlines()]


def go_on(notes: Path) -> None:
    """Let the last task go on, now and later."""
    (notes / "go on").touch()


def steps(place: Place, notes: Path, kind: str = "go on", **more: str) -> dict[str, str]:
    given = json.dumps({"folder": str(notes), "kind": kind})
    beat = "1" if place.word == "gcs" else "0.3"
    return located(place, "steps") | {"RUNNER_PARAMETERS": given, "RUNNER_RUN_ID": "r", "RUNNER_HEARTBEAT": beat} | more


def begin(environ: dict[str, str], **options: Any) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [sys.executable, "-m", "runner"]
    out = options.pop("stdout", subprocess.PIPE)
    options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's & ignores it
    return subprocess.Popen(
        command, env=kept | environ, stdout=out, stderr=subprocess.PIPE, text=True, errors="replace", **options
    )


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def ended(process: subprocess.Popen[str]) -> Ran:
    stdout, stderr = process.communicate(timeout=60)
    return Ran(process.returncode, stdout, stderr)


@contextmanager
def holding(
    place: Place, notes: Path, kind: str = "hold", *, results: Place | None = None, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Start a run whose last task holds, and give it when it does and all before it is durable."""
    if results:
        more |= {"RUNNER_RESULTS": results.url}
    publish(place, "steps.py")
    process = begin(steps(place, notes, kind, **more))
    try:
        wait_for(lambda: text_of(notes / "holding"), process)
        stored = {FOLDER.result(1, "each", index) for index in range(4)}
        stored |= {FOLDER.result(1, name, None) for name in ("first", "after")}
        wait_for(lambda: stored <= set((results or place).keys()), process)
        if "native" in kind:
            go_on(notes)
            wait_for((notes / "native").exists, process)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end_of(place: Place, attempt: int = 1) -> dict[str, Any]:
    end: dict[str, Any] = documents.decode(place.read(FOLDER.end(attempt)))
    return end


def lines_of(place: Place, attempt: int = 1) -> list[dict[str, Any]]:
    keys = [key for key in place.keys() if f"attempts/{attempt:04d}/logs/" in key]  # noqa: SIM118 - it is no dict
    return [json.loads(line) for key in sorted(keys) for line in place.read(key).splitlines()]


def messages_of(place: Place, attempt: int = 1) -> list[str]:
    return [line["message"] for line in lines_of(place, attempt) if "stream" in line]
