"""A program whose file has a name that no module can have fails in a task: determined-ai/determined #2770."""

# run as a script
from pathlib import Path

from runner import Flow, task


@task
def named():
    return Path(__file__).name


@task
def failing(name):
    raise ValueError(name)


with Flow("name with a hyphen") as flow:
    failing(named())
