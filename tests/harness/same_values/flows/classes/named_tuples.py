"""Named tuples, as a class and by a call, with defaults: dask/distributed #5602."""

from collections import namedtuple
from typing import NamedTuple

from runner import Flow, task

Pair = namedtuple("Pair", "a b", defaults=[0])


class Record(NamedTuple):
    value: int
    text: str = "x"

    def doubled(self):
        return self._replace(value=2 * self.value)


@task
def made():
    return Record(1).doubled(), Pair(1), Pair._field_defaults


@task
def checked(given):
    return isinstance(given[0], Record), given[1]._asdict(), Record._fields


with Flow("named tuples") as flow:
    checked(made())
