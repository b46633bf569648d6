"""A helper that reads a file of the author's when it is imported: prefect #5684."""

import helper  # refused

from runner import Flow, task


@task
def words():
    return helper.WORDS


with Flow("helper that fails") as flow:
    words()
