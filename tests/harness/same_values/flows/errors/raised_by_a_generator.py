"""StopIteration, a finally, and an error in an error's handler: dask/distributed #1891."""

from runner import Flow, task

EVENTS = []


def stopped():
    yield 1
    raise StopIteration("inside")


@task
def runs_out():
    return list(stopped())


@task
def context():
    try:
        [][0]
    except IndexError:
        int("x")
    finally:
        EVENTS.append("finally")


with Flow("raised by a generator") as flow:
    runs_out()
    context()
