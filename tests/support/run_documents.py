"""Runs written as documents, in no time: what they came to, when, and of which bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.naming import new_token, time_of_run_id

if TYPE_CHECKING:
    from support.places import Place

LONG_AGO = "2026-01-02T06:00:00.000000+00:00"
VERSION = "2026-01-01t06-00-00-000000-00-00"
_CODES = {"succeeded": 0, "failed": 1, "timed_out": 124, "cancelled": 143, "crashed": 137, "lost": 137, "refused": 65}
_CONCLUDING = {"succeeded", "failed", "timed_out"}


def write_run(
    place: Place,
    run_id: str,
    *,
    home: str = "etl",
    state: str | None = "succeeded",
    began: str | None = None,
    ended: str | None = None,
    version: str = VERSION,
    reuse: str | None = None,
    results: tuple[str, ...] = ("extract", "clean/0"),
    **more: Any,
) -> None:
    """Write a run with one attempt that ended in a state, or with none; with ``more`` entries in its ``run.json``."""
    began = began or time_of_run_id(run_id) or LONG_AGO
    folder, bundle = f"{home}/runs/{run_id}", {"url": f"{place.url}/{home}/{version}", "sha256": "0" * 64}
    by = {"host": "h", "uid": None}

    def write(name: str, document: dict[str, Any]) -> None:
        stem = {"format": 1, "token": new_token(), "run_id": run_id}
        place.write(f"{folder}/{name}", json.dumps(stem | document).encode() + b"\n")

    request: dict[str, Any] = {
        "bundle": bundle,
        "parameters": {},
        "labels": [],
        "image": None,
        "requested": began,
        "by": by,
    }
    request |= {"reuse": {"run_id": reuse, "from": None}} if reuse else {}
    write("run.json", request | more)
    if state is None:
        return
    claim = {"attempt": 1, "host": "h", "pid": 1, "image": None, "python": "3.11.7", "started": began, "beat": 1.0}
    write("attempts/0001/claim.json", claim)
    place.write(f"{folder}/attempts/0001/logs/000001.jsonl", b"{}\n")
    for name in results:
        place.write(f"{folder}/attempts/0001/results/{name}.pkl", b"a result")
    end: dict[str, Any] = {
        "attempt": 1,
        "started": began,
        "ended": ended or began,
        "host": "h",
        "python": "3.11.7",
        "flow": home,
        "bundle": bundle,
        "state": state,
        "exit_code": _CODES[state],
        "error": None if state == "succeeded" else {"type": "X", "message": "it did not"},
        "tasks": [_task(f"{folder}/attempts/0001/results/{name}.pkl") for name in results],
        "token": new_token(),
    }
    if reuse:
        end["tasks"].append(_task(f"{home}/runs/{reuse}/attempts/0001/results/extract.pkl", "taken"))
    write("attempts/0001/end.json", end)
    if state in _CONCLUDING:
        write("outcome.json", end)


def _task(key: str, name: str = "") -> dict[str, Any]:
    return {
        "task": name or key.partition("/results/")[2].removesuffix(".pkl").partition("/")[0],
        "name": name or "t",
        "index": None,
        "mapped": False,
        "state": "succeeded",
        "tries": 1,
        "started": None,
        "ended": None,
        "error": None,
        "result": {"key": key, "size": 8, "sha256": "0" * 64, "type": "int"},
    }
