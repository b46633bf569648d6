"""How far a run is, as its heartbeat tells everybody who looks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.cli.progress import progress_text
from runner.limits import limit_of
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support import schemas
from support.command_line import printed_json, run_command
from support.starting import start
from support.steps import FOLDER, ended, go_on, holding, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


def holds(store: RunStore) -> Any:
    """How far the run is, once its last task runs by what its heartbeat says."""
    progress = store.read_news(1).get("progress")
    return progress if progress and progress["longest"] and progress["longest"]["task"] == "last" else None


def test_a_heartbeat_tells_how_far_the_flow_is(place: Place, notes: Path) -> None:
    store = RunStore(place.open(), RunLayout("steps", "r"))
    url = f"{place.url}/steps/runs/r"
    with holding(place, notes) as process:
        progress = wait_for(lambda: holds(store), process)
        schemas.validate("beat", json.loads(place.read(FOLDER.beat(1))))
        text = start(place.environ, "show", url).stdout
        told = printed_json(start(place.environ, "show", url, "--json"))
        go_on(notes)
        assert ended(process).code == 0
    done = {task["task"]: (task["total"], task["running"], task["succeeded"]) for task in progress["tasks"]}
    assert done == {"first": (1, 0, 1), "each": (4, 0, 4), "unkept": (1, 0, 1), "after": (1, 0, 1), "last": (1, 1, 0)}
    assert "tasks    7 of 8 done: last 0 of 1; longest last for " in text
    assert "each    succeeded  4 of 4  0        0\n" in text
    assert "last    running    0 of 1  1        0\n" in text
    assert told["progress"]["tasks"] == progress["tasks"]
    assert told["series"]["cpu"][-1] > 0
    assert told["series"]["memory"][-1] > 10 << 20
    assert told["usage"]["cpu"] == told["series"]["cpu"][-1]
    assert re.search(r"\nuses     \d\.\d of [\d.]+ processors, \d+\.\d MB", text)


def test_show_f_prints_what_the_heartbeat_says(here: Place, notes: Path) -> None:
    store = RunStore(here.open(), RunLayout("steps", "r"))
    command = [sys.executable, "-m", "runner", "show", store.url, "-f"]
    with holding(here, notes) as process:
        wait_for(lambda: holds(store), process)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
            assert watching.stderr
            first = watching.stderr.readline()
            go_on(notes)
            assert ended(process).code == 0
            assert "state    succeeded\n" in watching.communicate(timeout=60)[0]
    assert "Z running, attempt 1, 7 of 8 done: last 0 of 1; longest last for " in first
    assert first.endswith(" MB\n")


@pytest.mark.parametrize(
    "planted",
    [b"", b"[]", b'{"format": 1, "progress": {"tasks": 3}}', b'{"format": 1, "progress": null}', b"{" * 70_000],
    ids=["empty", "list", "other", "null", "huge"],
)
def test_a_beat_that_says_nothing_keeps_nobody_from_the_rest(here: Place, notes: Path, planted: bytes) -> None:
    with holding(here, notes, RUNNER_HEARTBEAT="60"):
        here.write(FOLDER.beat(1), planted)
        assert RunStore(here.open(), RunLayout("steps", "r")).read_news(1).get("progress") is None
        shown = run_command({}, "show", f"{here.url}/steps/runs/r")
    assert len(planted) < 70_000 or len(planted) > limit_of("beat")
    assert (shown.code, "state    running" in shown.stdout, "succeeded (4 so far)" in shown.stdout) == (
        0,
        True,
        True,
    )


def test_a_line_names_a_few_of_many_tasks_that_are_at_work() -> None:
    tasks: Any = [
        {"task": f"t{number}", "total": None if number else 2, "running": 1, "succeeded": 0, "failed": 1, "skipped": 0}
        for number in range(6)
    ]
    text = progress_text({"tasks": tasks, "more": 0, "longest": None})
    assert text == "6 of 2 or more done, 6 failed: t0 1 of 2, t1 1 of ?, t2 1 of ?, t3 1 of ?, 2 more tasks"
