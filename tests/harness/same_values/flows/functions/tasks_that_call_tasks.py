"""A task's function called in another task, and a task in a dictionary: flyte #3457."""

from runner import Flow, task


@task
def double(number):
    return 2 * number


TASKS = {"double": double}


@task
def both(number):
    return double(number), TASKS["double"](number), TASKS["double"] is double, double.name


with Flow("tasks that call tasks") as flow:
    both(double(2))
