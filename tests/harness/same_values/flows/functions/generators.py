"""Generators, yield from and send inside a task: ray #25018."""

import itertools

from runner import Flow, task


def numbers():
    yield from range(3)
    got = yield "more"
    yield got


@task
def listed():
    running = numbers()
    taken = list(itertools.islice(running, 4))
    return taken, running.send("sent"), sum(number for number in range(4))


with Flow("generators") as flow:
    listed()
