"""The demo, done in a copy, and the benchmark for one round."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(command: list[str], cwd: Path) -> str:
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_demo_publishes_runs_and_shows_the_example(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    printed = run(["sh", "examples/demo.sh"], tmp_path)
    assert "takes along rides/rides.csv" in printed
    assert "summarise  succeeded (8 of 8)" in printed
    assert "file://" in printed.partition("RESULT")[2]
    with (tmp_path / "demo/report.csv").open(encoding="utf-8", newline="") as file:
        report = list(csv.DictReader(file))
    with (ROOT / "examples/rides/rides.csv").open(encoding="utf-8", newline="") as file:
        ended = [ride for ride in csv.DictReader(file) if ride["minutes"]]
    assert sum(int(line["rides"]) for line in report) == len(ended)
    assert [int(line["rides"]) for line in report] == sorted((int(line["rides"]) for line in report), reverse=True)


def test_the_benchmark_measures_both_and_prints_their_ratio() -> None:
    printed = run([sys.executable, "bench/start.py", "--rounds", "1"], ROOT)
    assert "boto3 + cloudpickle" in printed
    assert "of the time that boto3 + cloudpickle takes" in printed
