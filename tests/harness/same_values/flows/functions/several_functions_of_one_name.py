"""A name that was bound again: joblib #706."""

from runner import Flow, task


def work():
    return "first"


FIRST = work


def work():
    return "second " + FIRST()


number = 1


@task
def number_of():
    return number, work(), FIRST.__name__


number = 2

with Flow("several functions of one name") as flow:
    number_of()

number = 3
