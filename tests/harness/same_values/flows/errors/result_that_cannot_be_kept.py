"""A result that cannot be pickled is handed on here: prefect #4274."""

import threading

from runner import Flow, task


@task
def lock():
    return threading.Lock()


@task
def used(given):
    with given:
        return "used"


with Flow("result that cannot be kept") as flow:
    used(lock())
