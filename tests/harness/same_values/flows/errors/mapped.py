"""Of a mapped task some elements fail: flyte #4161."""

from runner import Flow, task


@task
def numbers():
    return [2, 0, 1]


@task
def divide(number):
    return 1 / number


@task(trigger="all_finished")
def count(values):
    return [type(value).__name__ for value in values]


with Flow("mapped") as flow:
    count(divide.map(numbers()))
