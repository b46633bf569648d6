"""A helper looks into the program: renpy/renpy #3921."""

# run as a script
import helper

from runner import Flow, task

LIMIT = 3


@task
def limit():
    return helper.limit()


with Flow("helper imports main") as flow:
    limit()
