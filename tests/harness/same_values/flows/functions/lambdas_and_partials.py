"""Lambdas in a list, partials of functions and methods: scikit-learn #9467."""

import operator
from functools import partial

from runner import Flow, task

STEPS = [lambda x: x + 1, partial(pow, 2), str.upper and (lambda x, factor=10: x * factor)]
LATE = [lambda: number for number in range(3)]
UPPER = operator.methodcaller("upper")


@task
def stepped(value):
    for step in STEPS:
        value = step(value)
    return value, [each() for each in LATE], UPPER("a"), STEPS[1].func is pow


with Flow("lambdas and partials") as flow:
    stepped(3)
