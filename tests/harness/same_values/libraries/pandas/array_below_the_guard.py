"""An array is changed, and a generator drawn from, by the program alone: pytorch/pytorch #5059."""

# run as a script
import numpy as np
import pandas as pd

from runner import Flow, task

NUMBERS = np.random.default_rng(5)
WEIGHTS = np.zeros(3)
COLUMN = pd.Series([1, 2])


@task
def drawn():
    return NUMBERS.random(), WEIGHTS.tolist(), COLUMN.tolist()


with Flow("array below the guard") as flow:
    drawn()

if __name__ == "__main__":
    NUMBERS.random()
    WEIGHTS += 1
    COLUMN[0] = 7
