"""A namespace that the file registers is there: polars #5531."""

import polars as pl

from runner import Flow, task


@pl.api.register_dataframe_namespace("split")
class Split:
    def __init__(self, frame):
        self._frame = frame

    def halves(self):
        half = self._frame.height // 2
        return self._frame[:half].rows(), self._frame[half:].rows()


@task
def halves():
    return pl.DataFrame({"a": [1, 2, 3, 4]}).split.halves()


with Flow("namespace") as flow:
    halves()
