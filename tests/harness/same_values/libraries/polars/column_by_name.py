"""The function that makes columns is imported by name: polars #21021."""

import polars as pl
from polars import col, when

from runner import Flow, task


class Rules:
    column = col
    price = staticmethod(lambda: col("price"))


@task
def chosen():
    frame = pl.DataFrame({"price": [1, 20]})
    return frame.select(when(col.price > 10).then(Rules.price()).alias("high"), col("price")).rows()


with Flow("column by name") as flow:
    chosen()
