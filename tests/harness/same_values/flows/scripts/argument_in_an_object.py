"""A program's arguments are kept in an object of its own: tensorflow/models #2481."""

# run as a script 5
import sys

from runner import Flow, task


class Settings:
    def __init__(self, limit=1):
        self.limit = int(limit)


SETTINGS = Settings(*sys.argv[1:])


@task
def limit():
    return SETTINGS.limit


with Flow("argument in an object") as flow:
    limit()
