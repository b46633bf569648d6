"""Process start to the flow's first line and to the end: runner beside ten lines of boto3 and cloudpickle.

All run the same function, in turns, each in a fresh process: from a moto server on loopback and, runner, from a folder
too. The function's first statement notes the time. What is compared is the ratio of the medians: the machine's own
speed cancels out.

    python bench/start.py [--rounds 15] [--at-most 0.5] [--before WORKTREE [--more 15]]

With ``--before``, another state of the code takes part, with a flow that it built itself: ``git worktree add ../before
COMMIT`` makes its folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import cloudpickle

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from first_line import first_line  # noqa: E402 - see above
from support.servers.moto import make_bucket, start_moto  # noqa: E402 - from the folder above

PLAIN = """
import os
import boto3
import cloudpickle
bucket, key = os.environ["PLAIN_LOCATION"].split("/", 1)
s3 = boto3.client("s3")
body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
function = cloudpickle.loads(body)
result = function()
s3.put_object(Bucket=bucket, Key=key + ".result", Body=cloudpickle.dumps(result))
"""


def measure(command: list[str], environ: dict[str, str], out: Path) -> tuple[float, float]:
    """Return the milliseconds from the start of a process to the function's first line, and to the process's end."""
    began = time.time()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    ended = time.time()
    return 1000 * (float(out.read_text("utf-8")) - began), 1000 * (ended - began)


def compare(
    contenders: dict[str, tuple[list[str], dict[str, str]]], rounds: int, out: Path
) -> dict[str, tuple[float, float]]:
    """Measure in turns, print a table, and return the medians of each one's first lines and ends, in milliseconds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        turns = list(contenders.items())  # back and forth: whoever comes after a slow one waits for its remains
        for name, (command, environ) in reversed(turns) if number % 2 else turns:
            measured = measure(command, environ, out)
            if number:  # the first round compiles bytecode and warms caches
                times[name].append(measured)
    print(f"{'':22}{'first line':>12}{'total':>12}   (medians of {rounds}, ms)")
    medians = {}
    for name, measured_times in times.items():
        first, total = (statistics.median(column) for column in zip(*measured_times, strict=True))
        medians[name] = first, total
        print(f"{name:22}{first:12.0f}{total:12.0f}")
    return medians


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve S3, with the function stored there as a plain pickle; yields the environment that reaches it."""
    with start_moto() as server:
        make_bucket(server, "bench")
        os.environ.update(server.environ)
        cloudpickle.register_pickle_by_value(sys.modules[first_line.__module__])
        s3 = boto3.client("s3", region_name=server.environ["AWS_REGION"])
        s3.put_object(Bucket="bench", Key="plain.pkl", Body=cloudpickle.dumps(first_line))
        yield server.environ | {"AWS_DEFAULT_REGION": server.environ["AWS_REGION"]}  # boto3 reads no AWS_REGION


def published(code: Path, storage: str, environ: dict[str, str]) -> dict[str, str]:
    """Publish the flow with a state of the code, and return the environment that runs it with that."""
    environ = environ | {"PYTHONPATH": str(code.resolve())}
    flow = str(ROOT / "bench" / "first_line.py")
    command = [sys.executable, "-P", "-m", "runner", "build", flow, "--storage", storage]
    url = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()
    return environ | {"RUNNER_LOCATION": url}


def main() -> None:
    """Compare, and fail if the ratio is not what it was asked to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-most", type=float, metavar="RATIO", help="fail if the ratio of first lines is above this")
    parser.add_argument("--before", metavar="WORKTREE", help="a folder with another state of the code, to compare with")
    parser.add_argument("--more", type=float, metavar="MS", help="fail if runner comes later by more than this")
    options = parser.parse_args()
    states = {"runner": ROOT} | ({"before": Path(options.before)} if options.before else {})
    with served() as found, tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "first-line")
        base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "BENCH_OUT": str(out), **found}
        places = {"S3": "s3://bench/{}", "folder": f"{folder}/{{}}"}
        contenders = {
            f"{state}, {place}": ([sys.executable, "-P", "-m", "runner"], published(code, url.format(state), base))
            for place, url in places.items()
            for state, code in states.items()
        }
        contenders["boto3 + cloudpickle"] = (
            [sys.executable, "-c", PLAIN],
            base | {"PLAIN_LOCATION": "bench/plain.pkl"},
        )
        contenders["python -c pass"] = ([sys.executable, "-c", first_line_source()], base)
        medians = compare(contenders, options.rounds, out)
    ratio = medians["runner, S3"][0] / medians["boto3 + cloudpickle"][0]
    print(f"runner's first line comes after {ratio:.2f} of the time that boto3 + cloudpickle takes")
    too_late = []
    for place in places if options.before else ():
        pairs = zip(("first line", "end"), medians[f"runner, {place}"], medians[f"before, {place}"], strict=True)
        for what, now, before in pairs:
            print(
                f"{place}: the {what} comes {now - before:+.1f} ms ({now / before:.3f}) after that of the state before"
            )
            if options.more is not None and now - before > options.more:
                too_late.append(f"{place}: the {what} comes more than {options.more} ms later")
    if options.at_most is not None and ratio > options.at_most:
        too_late.append(f"the ratio is more than {options.at_most}")
    if too_late:
        sys.exit("; ".join(too_late))


def first_line_source() -> str:
    """Return the floor: an interpreter that does nothing but note the time."""
    return "import os, time; open(os.environ['BENCH_OUT'], 'w').write(repr(time.time()))"


if __name__ == "__main__":
    main()
