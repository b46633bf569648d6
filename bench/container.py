"""``docker run`` to the flow's first line, from S3, beside ``docker run`` of the base image with ``python3 -c``.

What a container costs, both have; what is left is runner's. They take turns, each in a fresh container.

    python bench/container.py [--image org/runner:slim-py3.11] [--base IMAGE] [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from start import ROOT, compare, first_line_source, published, served


def main() -> None:
    """Compare."""
    ours = f"org/runner:slim-py{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default=ours, help="an image of ours (default: %(default)s)")
    parser.add_argument("--base", help="what it is based on (default: itself, with another entrypoint)")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if subprocess.run(["docker", "image", "inspect", options.image], capture_output=True, check=False).returncode:
        sys.exit(f"there is no image {options.image}: run make images, or give another one with --image")
    with served() as found, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        base = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **found}
        url = published(ROOT, "s3://bench", base)["RUNNER_LOCATION"]
        environ = found | {"BENCH_OUT": "/bench/first-line", "RUNNER_LOCATION": url}
        run = ["docker", "run", "--rm", "--network=host", f"--volume={folder}:/bench"]
        run += [f"--env={name}={value}" for name, value in environ.items()]
        plain = [*run, "--entrypoint=python3", options.base or options.image, "-c", first_line_source()]
        here = dict(os.environ)
        contenders = {"runner": ([*run, options.image], here), "python3 -c pass": (plain, here)}
        medians = compare(contenders, options.rounds, Path(folder, "first-line"))
    first, plain_first = medians["runner"][0], medians["python3 -c pass"][0]
    more, ratio = first - plain_first, first / plain_first
    print(f"runner's first line comes {more:.0f} ms after that of the base image: {ratio:.2f} of its time")


if __name__ == "__main__":
    main()
