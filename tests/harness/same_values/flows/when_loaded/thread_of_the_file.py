"""A thread that is started when the file is loaded answers its tasks: DataDog/dd-trace-py #17742."""

import queue
import threading

from runner import Flow, task

ASKED, ANSWERED = queue.Queue(), queue.Queue()  # refused


def answer():
    while True:
        ANSWERED.put(ASKED.get() * 2)


threading.Thread(target=answer, daemon=True).start()


@task
def told():
    ASKED.put(21)
    return ANSWERED.get(timeout=5)


with Flow("thread of the file") as flow:
    told()
