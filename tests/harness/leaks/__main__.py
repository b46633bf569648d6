"""``python -m harness.leaks``: plant canaries, run all that may show one, and print how much was searched for them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from harness.faults.workers import environment_for_starts
from harness.leaks.harness import run_all
from support.servers.moto import start_moto
from support.servers.s3_as_aws import S3AsAws


def main() -> int:
    """Print the figures, and every place with a canary in it; return 1 if there is one."""
    environment_for_starts()
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder, start_moto() as moto, S3AsAws() as refusing:
        harness = run_all(Path(folder), moto, refusing)
        search = harness.search()
    print(search.summary(len(harness.sandboxes)))
    for (canary, place), number in sorted(search.found.items(), key=lambda each: each[0][::-1]):
        print(f"FOUND {number} pieces of {canary} in {place}")
    return 1 if search.found else 0


if __name__ == "__main__":
    sys.exit(main())
