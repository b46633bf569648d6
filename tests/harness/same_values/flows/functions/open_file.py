"""A file that is open when the flow is built: cloudpickle #281."""

import os

from runner import Flow, task

SINK = open(os.devnull, "w")  # refused


@task
def written():
    return SINK.write("abc")  # refused


with Flow("open file") as flow:
    written()
