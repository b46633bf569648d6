"""How large the page about a run is, and how long it takes to make it, for runs of many sizes.

    python bench/report.py [--write]

With ``--write`` the table is put into ``docs/report.md``. No storage is asked: the documents are made here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runner.reports.page import render  # noqa: E402 - from the folder above
from support.pages import many  # noqa: E402 - see above

BEGIN, END = "<!-- printed by bench/report.py -->", "<!-- as far as here -->"
ROUNDS = 3
IMPORTS = """
import runner.supervisor.supervise
import time
began = time.perf_counter()
import runner.reports.gather, runner.reports.page
print(time.perf_counter() - began)
"""


def lines() -> list[str]:
    """The table's rows, by Markdown."""
    rows = ["| tasks and elements | the page, kB | made in, ms |", "| ---: | ---: | ---: |"]
    for count in (0, 10, 100, 1000, 1999, 2000, 10_000, 100_000):
        facts = many(count)
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            page = render(facts)
            times.append(time.perf_counter() - began)
        rows.append(f"| {count:,} | {len(page.encode()) / 1000:,.0f} | {min(times) * 1000:,.0f} |")
    return rows


def main() -> None:
    table = "\n".join(lines())
    print(table)
    imported = min(
        float(subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True, text=True).stdout)
        for _ in range(ROUNDS)
    )
    print(f"importing what makes it, after what a run imports: {imported * 1000:.1f} ms")
    if "--write" in sys.argv:
        path = ROOT / "docs/report.md"
        before, _, rest = path.read_text("utf-8").partition(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
