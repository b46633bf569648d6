"""Arguments by keyword, stars and defaults that are results: flyte #3403."""

from functools import partial

from runner import Flow, task


@task
def one():
    return 1


@task
def gathered(first, *rest, named=(), **more):
    return first, rest, named, more


@task(name="partly")
def part(value, by=3):
    return partial(pow, value)(by)


with Flow("keyword arguments") as flow:
    number = one()
    gathered(number, 2, [number, {"a": number}], named=(number,), other={"b": [number]})
    part(by=number, value=4)
