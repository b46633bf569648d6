"""A generic function finds its implementations: dask #3369."""

from functools import singledispatch

from runner import Flow, task


@singledispatch
def show(value):
    return f"any {value}"


@show.register
def _(value: int):
    return f"number {value}"


@show.register(list)
def _(value):
    return [show(each) for each in value]


@task
def shown():
    return show([1, "a", 2.5])


with Flow("singledispatch") as flow:
    shown()
