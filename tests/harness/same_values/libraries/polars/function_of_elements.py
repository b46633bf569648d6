"""A function of the file is called for each element: polars #18135."""

import polars as pl

from runner import Flow, task

SUFFIX = "!"
EXCLAIMED = pl.col("word").map_elements(lambda word: word + SUFFIX, return_dtype=pl.String)


@task
def exclaimed():
    return pl.DataFrame({"word": ["a", "b"]}).select(EXCLAIMED).to_series()


@task
def folded(words):
    return pl.DataFrame(words).select(words=pl.col("word").str.join("-")).item()


with Flow("function of elements") as flow:
    folded(exclaimed())
