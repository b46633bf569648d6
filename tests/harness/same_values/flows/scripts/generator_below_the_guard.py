"""A generator of random numbers is a copy in each process, and goes on where it stood: pytorch/pytorch #5059."""

# run as a script
import random

from runner import Flow, task

NUMBERS = random.Random(5)


@task
def drawn():
    return NUMBERS.random()


with Flow("generator below the guard") as flow:
    drawn()

if __name__ == "__main__":
    NUMBERS.random()
