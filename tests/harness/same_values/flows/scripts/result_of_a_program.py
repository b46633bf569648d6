"""A result is an instance of a program's own class, which has the file's name there: fastai #2575."""

# run as a script
from dataclasses import dataclass

from runner import Flow, task


@dataclass
class Row:
    number: int = 0


@task
def made():
    return Row(1)


with Flow("result of a program") as flow:
    made()
