"""What a run uses over time, compared with what the kernel tells of the processes that use it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.cli.progress import usage_text
from runner.runtime import own_usage
from runner.supervisor import usage
from runner.supervisor.usage import MOST_POINTS, UsageMeter
from support import schemas
from support.command_line import run_command
from support.flows import located, outcome_of
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place

# A parent that writes 4 MB and waits for a child which used a second of a processor, beside one that holds 100 MB.
PROGRAM = """
import os, subprocess, sys, time
with open(sys.argv[1], "wb") as file:
    file.write(bytes(4 << 20))
    os.fsync(file.fileno())
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 1: pass"])
holder = "held = b'x' * (100 << 20); print(1, flush=True); input()"
held = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
held.stdout.readline()
print("there", flush=True)
sys.stdin.readline()
"""


SPINS = """
import os, time
from runner import Flow, Parameter, task

@task
def spin():
    held = b"x" * (100 << 20)
    until = time.thread_time() + 0.5
    while time.thread_time() < until:
        pass

@task
def sleep(before, kill):
    if kill:
        os.kill(os.getpid(), 9)
    time.sleep(0.3)

with Flow("spins") as flow:
    sleep(spin(), Parameter("kill", default=False))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process


def test_the_use_of_processes_that_live_and_of_those_that_are_gone_is_counted(tree: subprocess.Popen[bytes]) -> None:
    measured = UsageMeter(tree.pid).read()
    assert 1 <= measured["cpu"][0] < 20
    assert measured["memory"][0] > 100 << 20
    assert own_usage.files_of(tree.pid)[1] is None or (measured["written"][0] or 0) >= 4 << 20
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tree.communicate(b"\n")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert measured["cpu"][0] == pytest.approx(used, abs=0.5)


def test_a_process_that_is_gone_uses_nothing_and_breaks_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    measured = UsageMeter(gone.pid).read()
    assert (measured["cpu"], measured["memory"], measured["read"]) == ([0], [0], [None])


def test_of_a_long_run_the_newest_points_stay_and_the_peak_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = UsageMeter(os.getpid())
    sizes = iter([*range(200), 10_000, *range(201, 1000)])
    fields = {"1": ["0"] * 21 + ["0"]}
    monkeypatch.setattr(usage, "_stats_of_tree", lambda _: {"1": [*fields["1"][:21], str(next(sizes))]})
    measured: Any = None
    for _ in range(1000):
        measured = meter.read()
    page = os.sysconf("SC_PAGE_SIZE")
    lengths = {len(part) for part in measured.values() if isinstance(part, list)}
    assert lengths == {len(measured["memory"])}
    assert len(measured["memory"]) < MOST_POINTS
    assert (measured["memory"][-1], max(measured["memory"])) == (999 * page, 10_000 * page)


def test_the_network_is_that_of_all_but_the_machine_itself() -> None:
    received, sent = own_usage.network()
    assert own_usage.since((10, 5), (4, None)) == (6, None)
    assert (received is None) == (sent is None)


def test_a_line_says_what_is_used_of_how_much() -> None:
    series: Any = {
        "cpus": 4.0,
        "memory_limit": 8 << 30,
        "seconds": [1.0, 11.0],
        "cpu": [1.0, 10.0],
        "memory": [5, 10**9],
    }
    assert usage_text(series) == "0.9 of 4 processors, 1.0 GB of 8.6 GB"
    assert usage_text(series | {"seconds": []}) == ""
    assert usage_text(series | {"seconds": [0.0], "memory_limit": None}) == "5 B"


def test_the_outcome_tells_what_run_and_tasks_have_used(here: Place, tmp_path: Path) -> None:
    flow = tmp_path / "spins.py"
    flow.write_text(SPINS)
    assert run_command({}, "build", str(flow), "--storage", here.url).code == 0
    assert start(located(here, "spins") | {"RUNNER_RUN_ID": "r"}).code == 0
    outcome = outcome_of(here, "r", "spins")
    schemas.validate("outcome", outcome)
    assert 0.5 <= outcome["usage"]["cpu"] < 20
    assert outcome["usage"]["memory"] > 100 << 20
    assert (outcome["usage"]["written"] is None) == (own_usage.files_of("self")[1] is None)
    cpu = {task["task"]: task["cpu"] for task in outcome["tasks"]}
    assert cpu["spin"] >= 0.5
    assert cpu["sleep"] < 0.25
    assert (
        start(located(here, "spins") | {"RUNNER_RUN_ID": "killed", "RUNNER_PARAMETERS": '{"kill": true}'}).code == 137
    )
    [end] = [here.read(key) for key in here.keys() if key.endswith("runs/killed/attempts/0001/end.json")]  # noqa: SIM118
    assert json.loads(end)["usage"]["cpu"] >= 0.5
