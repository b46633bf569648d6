"""What is kept for each thread, given by the one that loads the file: cpython #99246."""

import threading

from runner import Flow, task

KEPT = threading.local()  # refused
KEPT.user = "etl"


@task
def told():
    return getattr(KEPT, "user", "nobody")


with Flow("thread local of the file") as flow:
    told()
