"""Options of a function cannot be sent: arrow #8163."""

import pyarrow as pa
import pyarrow.compute as pc

from runner import Flow, task

OPTIONS = pc.ScalarAggregateOptions(skip_nulls=False)  # refused


@task
def summed():
    return pc.sum(pa.array([3, None]), options=OPTIONS).as_py()


with Flow("options as constant") as flow:
    summed()
