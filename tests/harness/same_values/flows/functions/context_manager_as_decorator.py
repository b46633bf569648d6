"""A function in a context manager that serves as its decorator: cloudpickle #509."""

from contextlib import contextmanager

from runner import Flow, task

EVENTS = []


@contextmanager
def noted(name):
    EVENTS.append(f"before {name}")
    yield
    EVENTS.append(f"after {name}")


@noted("work")  # refused
def work():  # refused
    EVENTS.append("work")


@task
def worked():
    work()
    work()
    return EVENTS


with Flow("context manager as decorator") as flow:
    worked()
