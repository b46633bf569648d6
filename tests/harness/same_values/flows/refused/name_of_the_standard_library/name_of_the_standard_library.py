"""An author's colorsys.py is not replaced by Python's: prefect #10016."""

import colorsys  # refused

from runner import Flow, task


@task
def mixed():
    return colorsys.mix("red", "blue")


with Flow("name of the standard library") as flow:
    mixed()
