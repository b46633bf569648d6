"""What the flow's file takes from the environment when it is loaded: prefect #2747."""

import os

from runner import Flow, task

HOME = os.environ["HOME"]
os.environ["THE_MODE"] = "fast"


@task
def told():
    return os.environ.get("THE_MODE"), os.path.isabs(HOME)


with Flow("environment when loaded") as flow:
    told()
