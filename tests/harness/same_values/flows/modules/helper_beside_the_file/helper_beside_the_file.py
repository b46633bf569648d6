"""A helper beside the file, its tasks, and its state: prefect #16571."""

import helper as tools
from helper import clean

from runner import Flow, task


@task
def counted(_):
    tools.COUNT["flow"] += 1
    return tools.COUNT, tools.clean is clean


with Flow("helper beside the file") as flow:
    counted(clean([3, None, 1]))
