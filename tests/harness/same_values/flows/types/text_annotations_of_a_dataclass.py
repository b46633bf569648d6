"""A class variable and an InitVar that are told by text: flyte #2267."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, fields, make_dataclass
from enum import Enum
from typing import ClassVar

from runner import Flow, task


class Aggregation(Enum):
    ONE = "1x1"


@dataclass
class Nested:
    aggregation: Aggregation = Aggregation.ONE
    count: ClassVar[int] = 3
    scale: InitVar[int] = 1
    made: int = field(init=False, default=0)

    def __post_init__(self, scale: int) -> None:
        self.made = scale * 2


@task
def made():
    other = make_dataclass("Other", [("x", int)], bases=(Nested,))
    return Nested(scale=4), [each.name for each in fields(other)], other(x=1).count


with Flow("text annotations of a dataclass") as flow:
    made()
