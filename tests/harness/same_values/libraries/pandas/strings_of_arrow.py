"""Columns that Arrow holds travel and come back: dask #9740."""

import pandas as pd
import pyarrow as pa

from runner import Flow, task

NAMES = pd.Series(["a", None, "ü"], dtype=pd.ArrowDtype(pa.string()))[1:]


@task
def upper():
    return NAMES.str.upper()


@task
def types(names):
    return str(names.dtype), names.isna().tolist(), names.index.tolist(), pd.Series(["x"]).dtype


with Flow("strings of arrow") as flow:
    types(upper())
