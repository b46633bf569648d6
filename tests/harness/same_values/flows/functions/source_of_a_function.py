"""inspect finds the source of a function of the flow's file: joblib #1587."""

import inspect

from runner import Flow, task


def work(number):
    return number + 1


@task
def source():
    return inspect.getsource(work), inspect.getmodule(work).__name__


with Flow("source of a function") as flow:
    source()
