"""A program that cannot do without its argument, and sets what others read: metaflow #424."""

# run as a script 5
import decimal
import os
import sys

from runner import Flow, task

LIMIT = int(sys.argv[1])
os.environ["LIMIT_OF_A_PROGRAM"] = sys.argv[1]  # refused


@task
def limit():
    return LIMIT, os.environ.get("LIMIT_OF_A_PROGRAM")


with Flow("effect and argument") as flow:
    limit()
