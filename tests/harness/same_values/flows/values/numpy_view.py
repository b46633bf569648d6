"""A view of an array shows what is changed in it: numpy #2049."""

import numpy as np

from runner import Flow, task

GRID = np.zeros((2, 3))
ROW = GRID[0]


@task
def changed():
    ROW[1] = 9
    return GRID.tolist()


with Flow("numpy view") as flow:
    changed()
