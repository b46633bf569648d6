"""The author's own package: it travels with the flow, the CSV beside it too."""

from __future__ import annotations

import csv
from collections import defaultdict
from importlib.resources import files
from typing import NamedTuple


class Ride(NamedTuple):
    """One line of ``rides.csv``: a bike ride."""

    station: str
    day: str
    minutes: float
    member: bool


def read_rides() -> list[Ride]:
    """Read the rides that ship with this package; a line without a duration was never ended, and is left out."""
    lines = files(__name__).joinpath("rides.csv").read_text("utf-8").splitlines()
    return [
        Ride(line["station"], line["day"], float(line["minutes"]), line["member"] == "yes")
        for line in csv.DictReader(lines)
        if line["minutes"]
    ]


def by_station(rides: list[Ride]) -> list[list[Ride]]:
    """Divide rides into one partition a station, in the order of their names."""
    partitions: dict[str, list[Ride]] = defaultdict(list)
    for ride in rides:
        partitions[ride.station].append(ride)
    return [partitions[station] for station in sorted(partitions)]
