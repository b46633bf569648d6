"""A lazy frame that reads bytes cannot be sent: polars #21847."""

import io

import polars as pl

from runner import Flow, task

held = io.BytesIO()
pl.DataFrame({"a": [1, 2]}).write_parquet(held)
LAZY = pl.scan_parquet(held.getvalue())


@task
def collected():
    return LAZY.collect().rows()  # refused


with Flow("lazy frame of bytes") as flow:
    collected()
