"""Runs of the flow in `support/flows/files/trouble.py`, which does to its process what it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from support.flows import located
from support.starting import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.places import Place


def begin(environ: Mapping[str, str], *, stdout: Any = subprocess.PIPE, **more: Any) -> subprocess.Popen[str]:
    """Start the entrypoint and do not wait for it."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [sys.executable, "-m", "runner"]
    return subprocess.Popen(command, env=kept | dict(environ), stdout=stdout, stderr=subprocess.PIPE, text=True, **more)


def trouble(place: Place, kind: str, **more: str) -> dict[str, str]:
    given = {"kind": kind} | ({"file": more.pop("file")} if "file" in more else {})
    return located(place, "trouble") | {"RUNNER_PARAMETERS": json.dumps(given), "RUNNER_RUN_ID": "r"} | more


def wait_for(path: Path, process: subprocess.Popen[str]) -> str:
    while not (path.exists() and path.read_text()):
        assert process.poll() is None, process.communicate()
        os.sched_yield()
    return path.read_text()


def concluded(place: Place, run_id: str = "r") -> bool:
    kept = place.keys()
    return f"trouble/runs/{run_id}/outcome.json" in kept


def end_of(place: Place, number: int = 1, home: str = "trouble") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.read(f"{home}/runs/r/attempts/{number:04d}/end.json"))
    return found
