"""Process start to the flow's first line, from S3: runner beside ten lines of boto3 and cloudpickle.

Both fetch the same function from a moto server on loopback, in turns, each in a fresh process; the function's first
statement notes the time. What is compared is the ratio of the medians: the machine's own speed cancels out.

    python bench/start.py [--rounds 15] [--at-most 0.5] [--before WORKTREE [--more 15]]

With ``--before``, another state of the code takes part: ``git worktree add ../before COMMIT`` makes its folder.
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
from runner import build_flow  # noqa: E402 - see above
from runner.storage import S3  # noqa: E402 - see above
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
    """Give the milliseconds from the start of a process to the function's first line, and to the process's end."""
    began = time.time()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    ended = time.time()
    return 1000 * (float(out.read_text("utf-8")) - began), 1000 * (ended - began)


def compare(contenders: dict[str, tuple[list[str], dict[str, str]]], rounds: int, out: Path) -> dict[str, float]:
    """Measure in turns, print a table, and give the median of each one's first lines, in milliseconds."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, (command, environ) in contenders.items():
            measured = measure(command, environ, out)
            if number:  # the first round compiles bytecode and warms caches
                times[name].append(measured)
    print(f"{'':22}{'first line':>12}{'total':>12}   (medians of {rounds}, ms)")
    firsts = {}
    for name, measured_times in times.items():
        firsts[name], total = (statistics.median(column) for column in zip(*measured_times, strict=True))
        print(f"{name:22}{firsts[name]:12.0f}{total:12.0f}")
    return firsts


@contextmanager
def published() -> Iterator[tuple[str, dict[str, str]]]:
    """Serve S3, with the function stored as a flow and as a plain pickle; gives the flow's URL and the environment."""
    with start_moto() as server:
        make_bucket(server, "bench")
        os.environ.update(server.environ)
        url = build_flow(first_line, name="first line", storage=S3("bench"))
        cloudpickle.register_pickle_by_value(sys.modules[first_line.__module__])
        s3 = boto3.client("s3", region_name=server.environ["AWS_REGION"])
        s3.put_object(Bucket="bench", Key="plain.pkl", Body=cloudpickle.dumps(first_line))
        yield url, server.environ | {"AWS_DEFAULT_REGION": server.environ["AWS_REGION"]}  # boto3 reads no AWS_REGION


def main() -> None:
    """Compare, and fail if the ratio is not what it was asked to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-most", type=float, metavar="RATIO", help="fail if the ratio of first lines is above this")
    parser.add_argument("--before", metavar="WORKTREE", help="a folder with another state of the code, to compare with")
    parser.add_argument("--more", type=float, metavar="MS", help="fail if the first line comes later by more than this")
    options = parser.parse_args()
    with published() as (url, found), tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "first-line")
        base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "BENCH_OUT": str(out), **found}
        contenders = {
            "runner": ([sys.executable, "-P", "-m", "runner"], base | {"RUNNER_LOCATION": url}),
            "boto3 + cloudpickle": ([sys.executable, "-c", PLAIN], base | {"PLAIN_LOCATION": "bench/plain.pkl"}),
            "python -c pass": ([sys.executable, "-c", first_line_source()], base),
        }
        contenders["runner"][1]["PYTHONPATH"] = str(ROOT)
        if options.before:
            environ = base | {"RUNNER_LOCATION": url, "PYTHONPATH": str(Path(options.before).resolve())}
            contenders["runner before"] = ([sys.executable, "-P", "-m", "runner"], environ)
        firsts = compare(contenders, options.rounds, out)
    ratio = firsts["runner"] / firsts["boto3 + cloudpickle"]
    print(f"runner's first line comes after {ratio:.2f} of the time that boto3 + cloudpickle takes")
    if options.before:
        more = firsts["runner"] - firsts["runner before"]
        print(f"and {more:+.1f} ms after that of the state in {options.before}")
        if options.more is not None and more > options.more:
            sys.exit(f"that is more than {options.more} ms")
    if options.at_most is not None and ratio > options.at_most:
        sys.exit(f"that is more than {options.at_most}")


def first_line_source() -> str:
    """Give the floor: an interpreter that does nothing but note the time."""
    return "import os, time; open(os.environ['BENCH_OUT'], 'w').write(repr(time.time()))"


if __name__ == "__main__":
    main()
