"""A model in a function, beside what cannot be sent: ccflow #221."""

import threading

from pydantic import BaseModel

from runner import Flow, task


def make():
    lock = threading.RLock()

    class Local(BaseModel):
        x: int

    with lock:
        return Local


@task
def local():
    first = make()(x="1")
    return first.x, type(first).__qualname__


with Flow("local model") as flow:
    local()
