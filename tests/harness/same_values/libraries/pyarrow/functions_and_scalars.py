"""Functions of the compute module are constants: arrow #8163."""

import pyarrow as pa
import pyarrow.compute as pc

from runner import Flow, task

STEPS = {"sum": pc.sum, "mean": pc.mean, "first": lambda numbers: pc.take(numbers, [0])}
ONE = pa.scalar(1, pa.uint8())


@task
def stepped():
    numbers = pa.chunked_array([[3, None], [4]])
    return {name: step(numbers) for name, step in STEPS.items()}, ONE


with Flow("functions and scalars") as flow:
    stepped()
