"""Bytes and numbers that a program changes in place, and an argument that it sets: joblib #923."""

# run as a script
from array import array
from functools import partial

from runner import Flow, task

NUMBERS = array("d", [1, 2])
LETTERS = bytearray(b"abc")
ADD = partial(sum, start=1)


@task
def held():
    return NUMBERS.tolist(), bytes(LETTERS), ADD([1])


with Flow("array below the guard") as flow:
    held()

if __name__ == "__main__":
    NUMBERS[0], LETTERS[0] = 9, 65
    ADD = partial(sum, start=5)
