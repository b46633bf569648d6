"""Defaults of parameters keep their type: prefect #3419."""

from datetime import timedelta
from enum import Enum

from runner import Flow, Parameter, task


class Mode(Enum):
    FAST = 1


@task(name="given", retries=1, retry_delay=timedelta(0))
def given(mode, pair, none):
    return mode is Mode.FAST, pair, none


with Flow("names of parameters") as flow:
    given(
        Parameter("mode", default=Mode.FAST),
        Parameter("pair", default=[1, {"a": None}]),
        Parameter("none", default=None),
    )
