"""A function that says what it does with print, unless it is given another: ray-project/ray #61075."""

import os

from runner import Flow, task

os.environ["LEVEL_OF_PRINT"] = "loud"


def report(text, say=print):
    say(text)
    return text


@task
def told():
    return report("begun"), os.environ.get("LEVEL_OF_PRINT")


with Flow("print as a default") as flow:
    told()
