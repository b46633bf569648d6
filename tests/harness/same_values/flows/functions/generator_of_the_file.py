"""A generator that runs in the flow's file: prefect #5286."""

from runner import Flow, task

NUMBERS = (number for number in range(3))  # refused


@task
def first():
    return next(NUMBERS)  # refused


with Flow("generator of the file") as flow:
    first()
