"""Seeds of the generators that a process has, and a list that is shuffled once: pints-team/pints #1360."""

import random

import numpy as np

from runner import Flow, task

ORDER = list(range(10))
random.seed(42)
np.random.seed(42)
random.shuffle(ORDER)


@task
def drawn():
    return ORDER, random.random(), float(np.random.random())


with Flow("seed of the process") as flow:
    drawn()
