"""An enum of a dataclass, as the HOWTO of enum has it: cpython #103479."""

from dataclasses import dataclass
from enum import Enum

from runner import Flow, task


@dataclass(frozen=True)
class Size:
    width: int
    height: int


class Format(Size, Enum):
    A4 = 210, 297
    A5 = 148, 210


@task
def told():
    return Format.A4.width, Format.A5.name


with Flow("enum of a mixin") as flow:
    told()
