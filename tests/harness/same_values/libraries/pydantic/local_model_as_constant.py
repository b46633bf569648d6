"""A model that a function made beside what cannot be sent: ccflow #221."""

import threading

from pydantic import BaseModel

from runner import Flow, task


def make():
    lock = threading.RLock()

    class Local(BaseModel):
        x: int

    with lock:
        return Local


LOCAL = make()


@task
def local():
    return LOCAL(x="1").x


with Flow("local model as constant") as flow:
    local()
