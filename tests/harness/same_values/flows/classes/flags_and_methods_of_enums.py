"""Enums with methods, aliases, _missing_ and values that are tuples: flyte #6155."""

from enum import Enum, IntFlag, StrEnum, unique

from runner import Flow, task


@unique
class Planet(Enum):
    EARTH = (6, "e")
    MARS = (1, "m")

    def __init__(self, mass, letter):
        self.mass = mass

    @classmethod
    def _missing_(cls, value):
        return next((each for each in cls if each.value[1] == value), None)


class Level(StrEnum):
    LOW = "low"
    SMALL = "low"


Bits = IntFlag("Bits", "A B C")


@task
def told():
    parts = Planet("m") is Planet.MARS, Level.SMALL is Level.LOW, Level("low") == "low", list(Level.__members__)
    return parts, Planet.EARTH.mass, Bits.A | Bits.C, ~Bits.B, sorted(Bits.A | Bits.B)


with Flow("flags and methods of enums") as flow:
    told()
