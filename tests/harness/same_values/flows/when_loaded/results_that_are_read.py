"""Results of many kinds of the file's own classes are read: cpython #79691."""

import enum
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from runner import Flow, task

Level = enum.IntEnum("Level", ["LOW", "HIGH"])
Place = NamedTuple("Place", [("x", int), ("y", int)])
Facts = TypedDict("Facts", {"name": str})


@dataclass(frozen=True, slots=True)
class Row:
    level: Level = Level.HIGH
    places: tuple[Place, ...] = field(default_factory=lambda: (Place(1, 2),))


@task
def made():
    return Row(), {Level.LOW: Facts(name="a")}, {Row(): 1}


with Flow("results that are read") as flow:
    made()
