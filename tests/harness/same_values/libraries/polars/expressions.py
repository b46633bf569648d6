"""Expressions are constants: polars #5461."""

import polars as pl

from runner import Flow, task

RATIO = (pl.col("a").sqrt() / pl.col("b")).alias("ratio")
RULES = {"total": pl.col("a").sum().over("b"), "kind": pl.lit("x").cast(pl.Enum(["x", "y"]))}


@task
def selected():
    return pl.DataFrame({"a": [1.0, 4.0], "b": [2, 2]}).select(RATIO, **RULES)


@task
def handed_on(frame):
    return frame.schema, frame.to_dicts(), str(RATIO)


with Flow("expressions") as flow:
    handed_on(selected())
