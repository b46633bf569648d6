"""What the flow's processes use over time, measured with each heartbeat.

What they used that are gone is counted with their parents'; pages that several of them share are counted with each.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from runner.runtime import own_usage
from runner.supervisor.reaper import stat_fields

if TYPE_CHECKING:
    from runner.schema.progress import UsageSeries

MOST_POINTS = 120  # of a run that is long, the older ones stand for several heartbeats
_PARENT, _TIMES, _RESIDENT = 1, slice(11, 15), 21  # among the fields of `stat_fields`


class UsageMeter:
    """Measures one attempt from now on.

    Args:
        reaper: the process whose descendants are the flow's.
    """

    def __init__(self, reaper: int) -> None:
        self._reaper, self._began = reaper, time.monotonic()
        self._network = own_usage.network()
        cpus, memory_limit = own_usage.available()
        self.series: UsageSeries = {
            "memory_limit": memory_limit,
            "cpus": cpus,
            "seconds": [],
            "cpu": [],
            "memory": [],
            "read": [],
            "written": [],
            "received": [],
            "sent": [],
        }

    def read(self) -> UsageSeries:
        """Measure once more, and return all that was measured."""
        found, series = _stats_of_tree(str(self._reaper)), self.series
        ticks = sum(int(part) for fields in found.values() for part in fields[_TIMES])
        pages = sum(int(fields[_RESIDENT]) for fields in found.values())
        read, written = _total([own_usage.files_of(pid) for pid in found])
        received, sent = own_usage.since(own_usage.network(), self._network)
        series["seconds"].append(round(time.monotonic() - self._began, 1))
        series["cpu"].append(round(ticks / os.sysconf("SC_CLK_TCK"), 2))
        series["memory"].append(pages * os.sysconf("SC_PAGE_SIZE"))
        series["read"].append(read)
        series["written"].append(written)
        series["received"].append(received)
        series["sent"].append(sent)
        if len(series["seconds"]) == MOST_POINTS:
            self.series = _thinned(series)
        return self.series


def _stats_of_tree(top: str) -> dict[str, list[str]]:
    """Return the fields of a process and of all its descendants, by their ids."""
    names = [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - names are what is wanted
    stats = {name: fields for name in names if (fields := stat_fields(name))}
    children: dict[str, list[str]] = {}
    for name, fields in stats.items():
        children.setdefault(fields[_PARENT], []).append(name)
    found, rest = dict[str, list[str]](), [top]
    while rest:
        pid = rest.pop()
        if pid in stats:
            found[pid] = stats[pid]
            rest += children.get(pid, [])
    return found


def _total(pairs: list[tuple[int | None, int | None]]) -> tuple[int | None, int | None]:
    known = [(read, written) for read, written in pairs if read is not None and written is not None]
    return (sum(read for read, _ in known), sum(written for _, written in known)) if known else (None, None)


def _thinned(series: UsageSeries) -> UsageSeries:
    """Return every second point; all but the memory counts from the beginning, and of that the greater stays."""
    memory = series["memory"]
    return {
        "memory_limit": series["memory_limit"],
        "cpus": series["cpus"],
        "seconds": series["seconds"][1::2],
        "cpu": series["cpu"][1::2],
        "memory": [max(pair) for pair in zip(memory[::2], memory[1::2], strict=True)],
        "read": series["read"][1::2],
        "written": series["written"][1::2],
        "received": series["received"][1::2],
        "sent": series["sent"][1::2],
    }
