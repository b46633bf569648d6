"""Options that the file sets hold when its tasks are called: joblib #1071."""

import pandas as pd

from runner import Flow, task

pd.set_option("display.precision", 2)


@task
def shown():
    return str(pd.Series([1.23456])), pd.get_option("display.precision")


with Flow("options of the file") as flow:
    shown()
