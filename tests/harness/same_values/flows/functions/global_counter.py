"""Functions that change a global see one and the same: cloudpickle #187."""

from runner import Flow, task

COUNT = 0


def increase():
    global COUNT
    COUNT += 1
    return COUNT


@task
def first():
    return increase(), increase(), COUNT


@task
def second(before):
    return before, increase(), COUNT


with Flow("global counter") as flow:
    second(first())
