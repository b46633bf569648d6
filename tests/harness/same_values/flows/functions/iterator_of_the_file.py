"""Counters and iterators of the flow's file go on where they were: cloudpickle #146."""

import itertools

from runner import Flow, task

COUNTER = itertools.count(5)
ROWS = iter([1, 2, 3])
next(ROWS)
next(COUNTER)


@task
def taken():
    return next(COUNTER), list(ROWS), next(ROWS, "none")


with Flow("iterator of the file") as flow:
    taken()
