"""An error in a helper shows the helper's file and line: prefect #4274."""

from helper import parse

from runner import Flow, task


@task
def parsed():
    return parse("x")


with Flow("helper that raises late") as flow:
    parsed()
