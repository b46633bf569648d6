import os

from runner import Flow, task


@task
def stage():
    return os.environ.get("STAGE_OF_A_PIPELINE", "development")


with Flow("flow of another file") as flow:
    stage()
