"""sys.exit in a task: metaflow #424."""

import sys

from runner import Flow, task


@task
def leaves():
    try:
        sys.exit(3)
    except SystemExit as error:
        return error.code


@task
def warns():
    assert 1 + 1 == 3, "sums"


with Flow("exit") as flow:
    leaves()
    warns()
