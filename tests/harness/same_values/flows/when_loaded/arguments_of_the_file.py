"""A file that gives the arguments for what it calls later: metaflow #424."""

import sys

from runner import Flow, task

sys.argv = ["etl", "--verbose", "run"]


@task
def told():
    return sys.argv[1:]


with Flow("arguments of the file") as flow:
    told()
