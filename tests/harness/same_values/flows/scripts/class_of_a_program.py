"""Instances of a program's classes are pickled, and told apart: fastai #2814."""

# run as a script
import enum
import pickle
from dataclasses import dataclass

from runner import Flow, task


class Color(enum.Enum):
    RED = 1


@dataclass
class Row:
    color: Color
    number: int = 0


@task
def told():
    row, again = Row(Color.RED), pickle.loads(pickle.dumps(Row(Color.RED)))
    return row == again, row is again, again.color is Color.RED, repr(row)


with Flow("class of a program") as flow:
    told()
