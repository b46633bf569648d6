"""A mutable default is one list for all calls: cloudpickle #262."""

from runner import Flow, task


def collect(value, into=[]):
    into.append(value)
    return into


@task
def first():
    return list(collect(1)), collect(2) is collect.__defaults__[0]


@task
def second(_):
    return list(collect(3))


with Flow("mutable default") as flow:
    second(first())
