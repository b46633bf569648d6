"""A handler of SIGTERM that a file sets for its process: glotzerlab/gsd #257."""

import signal
import sys

from runner import Flow, task


def stop(number, frame):
    sys.exit(1)


signal.signal(signal.SIGTERM, stop)


@task
def told():
    return getattr(signal.getsignal(signal.SIGTERM), "__name__", "none")


with Flow("handler of sigterm") as flow:
    told()
