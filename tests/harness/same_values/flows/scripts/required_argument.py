"""A program that cannot do without its argument: metaflow #424."""

# run as a script 5
import sys

from runner import Flow, task

LIMIT = int(sys.argv[1])


@task
def limit():
    return LIMIT


with Flow("required argument") as flow:
    limit()
