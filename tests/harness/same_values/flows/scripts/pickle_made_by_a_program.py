"""A pickle that was made when the file was a program is loaded in a task: fastai #2575."""

# run as a script
import pickle

from runner import Flow, task


class Point:
    def __init__(self, x):
        self.x = x


MADE_BEFORE = b"ccopyreg\n_reconstructor\n(c__main__\nPoint\nc__builtin__\nobject\nNtR(dVx\nI3\nsb."


@task
def loaded():
    return pickle.loads(MADE_BEFORE).x


with Flow("pickle made by a program") as flow:
    loaded()
