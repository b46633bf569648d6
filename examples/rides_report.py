"""A small job: read a CSV, summarise each station on its own, and write a report.

``make demo`` publishes it to a folder and runs it as a container would. To do the same by hand::

    runner build examples/rides_report.py --storage demo/flows
    RUNNER_STORAGE=local RUNNER_LOCATION=demo/flows/rides-report python -m runner
"""

from __future__ import annotations

import csv
import statistics
from pathlib import Path
from typing import Any

from rides import Ride, by_station, read_rides
from runner import Flow, Parameter, logger, task


@task
def read() -> list[list[Ride]]:
    """Read all rides, divided by station."""
    partitions = by_station(read_rides())
    logger().info("%d rides from %d stations", sum(map(len, partitions)), len(partitions))
    return partitions


@task(retries=1)
def summarise(rides: list[Ride]) -> dict[str, Any]:
    """Summarise one station."""
    return {
        "station": rides[0].station,
        "rides": len(rides),
        "median minutes": round(statistics.median(ride.minutes for ride in rides), 1),
        "members %": round(100 * sum(ride.member for ride in rides) / len(rides)),
    }


@task
def rank(summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the busiest station first."""
    return sorted(summaries, key=lambda summary: -summary["rides"])


@task
def write(ranking: list[dict[str, Any]], path: str) -> str:
    """Write the report, and give where it lies."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=ranking[0])
        writer.writeheader()
        writer.writerows(ranking)
    return str(Path(path).absolute())


with Flow("rides report") as flow:
    write(rank(summarise.map(read())), Parameter("path", default="rides-report.csv"))
