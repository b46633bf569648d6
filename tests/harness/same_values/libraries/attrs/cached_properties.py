"""A cached property of a class with slots: attrs #1420."""

from functools import cached_property

import attrs

from runner import Flow, task


@attrs.define
class Rows:
    count: int

    @cached_property
    def all(self) -> list[int]:
        return list(range(self.count))


ROWS = Rows(3)


@task
def cached():
    return ROWS.all, ROWS.all is ROWS.all, Rows(1).all


with Flow("cached properties") as flow:
    cached()
