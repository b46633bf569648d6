"""A lock of the flow's file: ray #8516."""

import threading

from runner import Flow, task

LOCK = threading.Lock()  # refused
TOTAL = []


@task
def added():
    with LOCK:  # refused
        TOTAL.append(1)
    return TOTAL


with Flow("lock of the file") as flow:
    added()
