"""A flow is kept in a class, and reads what its file sets: prefect #20250."""

# run as a script
import os

from runner import Flow, task

os.environ["STAGE_OF_A_CLASS"] = "production"


class Pipeline:
    @task
    def stage():
        return os.environ.get("STAGE_OF_A_CLASS", "development")

    with Flow("flow in a class") as flow:
        stage()
