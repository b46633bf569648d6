"""A seed that is set when the file is loaded: dask/distributed #2558."""

import random

from runner import Flow, task

random.seed(7)
OWN = random.Random(3)
FIRST = random.random()


@task
def drawn():
    return FIRST, OWN.random(), random.Random(1).random()


with Flow("random seed") as flow:
    drawn()
