"""What a build takes with and without the proof that its bundle can be loaded, in turns; the median of the differences.

    python bench/build.py [--rounds 15] [--at-most 500]

Both publish the same flow, to a folder, each in a fresh process. ``--at-most`` ends with 1 where the proof takes more
milliseconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOW = """
from runner import Flow, task

@task
def answer():
    return 42

with Flow("proved") as flow:
    answer()
"""


def build(folder: Path, *arguments: str) -> float:
    """Build the flow in a process of its own; return the milliseconds that takes."""
    command = [sys.executable, "-m", "runner", "build", "proved.py", "--storage", "storage", *arguments]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - began)


def main() -> int:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-most", type=float, help="milliseconds that the proof may take")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "proved.py").write_text(FLOW, "utf-8")
        pairs = [(build(folder), build(folder, "--no-check")) for _ in range(given.rounds + 1)][1:]
    proved, unproved = (statistics.median(column) for column in zip(*pairs, strict=True))
    more = statistics.median(one - other for one, other in pairs)
    print(f"build {proved:.0f} ms, with --no-check {unproved:.0f} ms; the proof takes {more:.0f} ms (medians)")
    return int(given.at_most is not None and more > given.at_most)


if __name__ == "__main__":
    sys.exit(main())
