"""A subclass of a frame keeps its own attributes: pandas #10553."""

import pandas as pd

from runner import Flow, task


class Measured(pd.DataFrame):
    _metadata = ["unit"]

    @property
    def _constructor(self):
        return Measured


@task
def measure():
    frame = Measured({"a": [1, 2]})
    frame.unit = "m"
    return frame


@task
def head(frame):
    return type(frame).__name__, frame.unit, frame.head(1).unit, type(frame[["a"]]) is Measured


with Flow("subclass of a frame") as flow:
    head(measure())
