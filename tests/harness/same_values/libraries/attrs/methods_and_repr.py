"""A class has its methods and its text: attrs #458."""

import attr

from runner import Flow, task


@attr.s(auto_attribs=True)
class Counts:
    an_int: int
    a_float: float = 1.5
    itself: "Counts" = None

    def told(self):
        return f"{self.an_int} + {self.a_float}"


COUNTS = Counts(1)
TOLD = COUNTS.told


@task
def told():
    COUNTS.itself = COUNTS
    return TOLD(), repr(COUNTS), attr.fields(Counts).a_float.default, Counts(2) < Counts(3), Counts.__match_args__


with Flow("methods and repr") as flow:
    told()
