"""Arrays with their order and type, and a seeded generator: cloudpickle #83."""

import numpy as np

from runner import Flow, task

GRID = np.arange(6, dtype="<i2").reshape(2, 3, order="F")
RANDOM = np.random.default_rng(3)


@task
def drawn():
    return RANDOM.integers(100, size=4).tolist(), RANDOM.random()


@task
def told():
    return GRID.tolist(), str(GRID.dtype), GRID.flags.f_contiguous, float(np.float32(0.1)), type(np.float64(1)).__name__


with Flow("numpy arrays") as flow:
    drawn()
    told()
