"""A helper that needs a variable of this machine: prefect #2747."""

import os

os.environ.setdefault("THE_BUCKET", "here")

import helper  # refused

from runner import Flow, task


@task
def bucket():
    return helper.BUCKET


with Flow("helper that fails") as flow:
    bucket()
