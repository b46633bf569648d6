"""Closures that share a variable go on sharing it: cloudpickle #90."""

from runner import Flow, task


def counter():
    count = 0

    def increase():
        nonlocal count
        count += 1
        return count

    def read():
        return count

    return increase, read


INCREASE, READ = counter()
INCREASE()


@task
def counted():
    return INCREASE(), INCREASE(), READ()


with Flow("nonlocal counter") as flow:
    counted()
