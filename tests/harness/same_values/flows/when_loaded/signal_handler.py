"""A handler of a signal, which only the main thread may set: dask-jobqueue #667."""

import os
import signal
import threading

from runner import Flow, task

CAME = threading.Event()  # refused
signal.signal(signal.SIGUSR1, lambda number, frame: CAME.set())


@task
def told():
    os.kill(os.getpid(), signal.SIGUSR1)
    return CAME.wait(5)


with Flow("signal handler") as flow:
    told()
