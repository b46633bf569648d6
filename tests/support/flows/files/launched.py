"""A flow that is launched, and does as a parameter says."""

import ctypes
import os
import signal
import time
from pathlib import Path

from runner import Flow, Parameter, task


@task
def work(kind: str) -> str:
    print(f"it says {kind}", flush=True)
    if kind == "fail":
        message = "as it was told"
        raise ValueError(message)
    if kind == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "ignore everything":
        ctypes.PyDLL(None).sleep(1000)  # the interpreter's lock is held as well
    if kind == "hold" or (kind == "hold once" and first_time()):
        time.sleep(1000)
    if kind == "eat":
        eaten = [bytearray(os.urandom(1 << 20)) for _ in range(4096)]
        del eaten
    return kind


def first_time() -> bool:
    """Whether this is the run's first attempt; its claims lie where the platform's containers all see them."""
    mark = Path(os.environ["MARK"])
    if mark.exists():
        return False
    mark.touch()
    return True


with Flow("launched") as flow:
    work(Parameter("kind"))
