"""A flow whose task needs an installed distribution."""

import numpy as np

from runner import Flow, task


@task
def add() -> float:
    return float(np.arange(3).sum())


with Flow("needs-numpy") as flow:
    add()
