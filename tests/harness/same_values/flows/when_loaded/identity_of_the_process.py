"""What is made again in a process that was forked, as connections are: sqlalchemy #7815."""

import os

from runner import Flow, task

OWNER = {"process": os.getpid()}


@task
def told():
    return "its own" if OWNER["process"] == os.getpid() else "made again"


with Flow("identity of the process") as flow:
    told()
