"""A compiled struct of the flow's file: cloudpickle #281."""

import struct

from runner import Flow, task

HEADER = struct.Struct("<hI")  # refused


@task
def packed():
    return HEADER.pack(1, 2), HEADER.size  # refused


with Flow("compiled struct") as flow:
    packed()
