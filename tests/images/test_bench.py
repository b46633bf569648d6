"""The benchmark of containers runs; what it measures is for people, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_benchmark_starts_containers_of_both_and_prints_their_ratio(
    images: dict[str, str], bases: dict[str, str]
) -> None:
    arguments = [f"--image={images['slim-py3.11']}", f"--base={bases['3.11']}", "--rounds=1"]
    command = [sys.executable, "bench/container.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ms after that of the base image" in done.stdout
