"""The flow of a first page: prefect #81."""

from runner import Flow, task


@task
def extract():
    return [3, 1, 2]


@task
def double(number):
    return 2 * number


@task
def load(numbers):
    return sum(numbers)


with Flow("plain") as flow:
    load(double.map(extract()))
