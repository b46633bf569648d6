"""What is one object here is one object there, also in the arguments of several tasks: cloudpickle #66."""

from runner import Flow, task

SHARED = []
GRID = [SHARED] * 2
LOOP = [1]
LOOP.append(LOOP)


@task
def first(given):
    given.append(1)
    return given is SHARED, GRID


@task
def second(given, _):
    return given is SHARED, GRID[0] is GRID[1], LOOP[1] is LOOP, list(given)


with Flow("shared objects") as flow:
    second(SHARED, first(SHARED))
