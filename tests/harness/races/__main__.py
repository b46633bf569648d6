"""``python -m harness.races``: have failing flows attacked while they end, and print how many ended with 0 for that.

Half of the rounds are in a folder, half on S3, every second one with trusted keys. With ``--write`` the figures are put
into ``docs/security.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from harness.races.attack import FLOW, TRUSTING, Round, attack
from support.flows import publish
from support.places import local_place, s3_place
from support.servers.moto import start_moto

if TYPE_CHECKING:
    from support.places import Place

ROOT = Path(__file__).resolve().parents[3]
BEGIN, END = "<!-- printed by python -m harness.races -->", "<!-- as far as here -->"
WORKERS = 4


def race(place: Place, rounds: int) -> list[Round]:
    """Publish the flow, signed, and have it attacked so many times."""
    os.environ.update(place.environ, RUNNER_SIGNING_KEY=TRUSTING["RUNNER_SIGNING_KEY"])
    version = publish(place, f"{FLOW}.py").rpartition("/")[2]
    done: list[Round] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for each in pool.map(lambda number: attack(place, version, number), range(rounds)):
            done.append(each)
            if len(done) % 100 == 0:
                print(summary(place.word, done), file=sys.stderr)
    return done


def summary(storage: str, rounds: list[Round]) -> str:
    """Return a row of the table."""
    reached = sum(each.planted > 0 for each in rounds)
    codes = ", ".join(f"{number:,} with {code}" for code, number in sorted(Counter(e.code for e in rounds).items()))
    zeros = sum(each.code == 0 for each in rounds)
    return f"| {storage} | {len(rounds):,} | {reached:,} | {codes} | **{zeros}** |"


def main() -> int:
    """Print the table; return 1 if a start ended with 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="races-") as folder, start_moto() as moto:
        places = {"a folder": local_place(Path(folder, "storage")), "S3": s3_place(moto)}
        found = {name: race(place, options.rounds // 2) for name, place in places.items()}
    head = [
        "| storage | starts | planted before the end | ended | falsely with 0 |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    table = "\n".join([*head, *(summary(name, rounds) for name, rounds in found.items())])
    print(table)
    if options.write:
        page = ROOT / "docs" / "security.md"
        before, _, rest = page.read_text("utf-8").partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")
    return 1 if any(each.code == 0 for rounds in found.values() for each in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
