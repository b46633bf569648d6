"""A function that the file registers can be called by its name: arrow #13687."""

import pyarrow as pa
import pyarrow.compute as pc

from runner import Flow, task


def doubled(context, numbers):
    return pc.multiply(numbers, 2, memory_pool=context.memory_pool)


DOC = {"summary": "twice", "description": "twice the number"}
pc.register_scalar_function(doubled, "doubled", DOC, {"numbers": pa.int64()}, pa.int64())


@task
def called():
    return pc.call_function("doubled", [pa.array([1, 2])]).to_pylist()


with Flow("registered function") as flow:
    called()
