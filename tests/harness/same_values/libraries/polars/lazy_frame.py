"""A lazy frame with a function of the file is collected there: polars #9454."""

import polars as pl

from runner import Flow, task

FACTOR = 3


def scaled(frame):
    return frame.with_columns(pl.col("a") * FACTOR)


LAZY = pl.LazyFrame({"a": [1, 2], "b": ["x", None]}).map_batches(scaled).filter(pl.col("a") > 3)


@task
def collected():
    return LAZY.collect()


with Flow("lazy frame") as flow:
    collected()
