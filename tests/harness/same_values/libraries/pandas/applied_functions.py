"""Functions of the file are applied to groups and rows: dask #3240."""

import pandas as pd

from runner import Flow, task

FRAME = pd.DataFrame({"key": list("abab"), "value": range(4)}).set_index("key", append=True)
RULES = {"value": ["sum", lambda values: values.max() - values.min()]}
RATE = 2


def weighed(row):
    return row["value"] * RATE


@task
def grouped():
    return FRAME.groupby("key").agg(RULES).to_dict()


@task
def per_row():
    return FRAME.apply(weighed, axis=1).tolist(), FRAME.pipe(lambda frame: frame.index.nlevels)


with Flow("applied functions") as flow:
    grouped()
    per_row()
