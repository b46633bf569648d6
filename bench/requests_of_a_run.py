"""How many requests a run makes of its storage while it lasts: on S3, counted by a proxy, one heartbeat a second.

A flow that prints a line every half a second runs for a minute and ``--heartbeats`` seconds. What is counted after
its first minute, in which the log is shipped more often, is printed for each heartbeat, and for an hour of heartbeats
every 15 seconds.

    python bench/requests_of_a_run.py [--heartbeats 20] [--write]

With ``--write`` the table is put into ``docs/reliability.md``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.faults.asked import Asked

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from harness.faults.proxy import Proxy  # noqa: E402 - from the folder above
from runner import build_flow  # noqa: E402 - see above
from runner.storage import S3  # noqa: E402 - see above
from support.servers.moto import make_bucket, start_moto  # noqa: E402 - see above

BEGIN, END = "<!-- printed by bench/requests_of_a_run.py -->", "<!-- as far as here -->"
MINUTE = 60.0
HEARTBEAT = 15.0  # the default
FIRST_MINUTE = 30  # parts of the log at the most, one every two seconds


def talk(seconds: float) -> None:
    """Print a line every half a second."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        print("still here", flush=True)
        time.sleep(0.5)


def count(heartbeats: int) -> tuple[Counter[str], Counter[str]]:
    """Run the flow, and return its requests by what they are of: those of each heartbeat later on, and all others."""
    later: Counter[str] = Counter()
    others: Counter[str] = Counter()
    with start_moto() as server, Proxy("s3", server.url) as proxy:
        make_bucket(server, "bench")
        os.environ.update(server.environ)
        url = build_flow(talk, name="talk", storage=S3("bench"))
        began = time.monotonic()

        def note(asked: Asked) -> None:
            name = asked.key.rpartition("/")[2]
            what = f"{asked.method} {'a part of the log' if name.endswith('.jsonl') else name}"
            if asked.verb == "list":
                what = "LIST the results"
            passing = name == "beat" or name.endswith(".jsonl") or what in {"GET end.json", "GET cancel.json"}
            if passing and time.monotonic() - began > MINUTE + 1:
                later[what] += 1
            elif not passing:
                others[what if "runs/" in asked.key or asked.verb == "list" else f"{asked.method} the bundle"] += 1

        proxy.fault = note
        environ = {
            **server.environ,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": proxy.url,
            "RUNNER_LOCATION": url,
            "RUNNER_PARAMETERS": f'{{"seconds": {MINUTE + 1 + heartbeats}}}',
            "RUNNER_HEARTBEAT": "1",
        }
        subprocess.run([sys.executable, "-m", "runner"], env=environ, check=True, stdout=subprocess.DEVNULL)
    return later, others


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heartbeats", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    later, others = count(options.heartbeats)
    an_hour = 3600 / HEARTBEAT
    lines = ["| request | for each heartbeat | in an hour |", "| --- | ---: | ---: |"]
    for what, number in sorted(later.items()):
        each = round(number / options.heartbeats)
        lines.append(f"| {what} | {each} | {each * an_hour:.0f} |")
    lines.append(f"| PUT a part of the log, in the first minute | | {FIRST_MINUTE} |")
    once = ", ".join(f"{number} {what}" for what, number in sorted(others.items()))
    table = "\n".join([*lines, "", f"Once in a run, here of one task: {once}."])
    print(table)
    if options.write:
        page = ROOT / "docs" / "reliability.md"
        before, _, rest = page.read_text("utf-8").partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
