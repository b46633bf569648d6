"""A task imports from the program: zincware/ZnTrack #58."""

# run as a script
from runner import Flow, task

LIMIT = 3


@task
def limit():
    from __main__ import LIMIT as found

    return found


with Flow("import from main") as flow:
    limit()
