"""A flow is made by a function for each table, and reads what its file sets: prefect #8121."""

# run as a script
import os

from runner import Flow, task

os.environ["STAGE_OF_TABLES"] = "production"


@task
def stage(table):
    return table, os.environ.get("STAGE_OF_TABLES", "development")


def make_flow(table):
    with Flow(f"flow of {table}") as flow:
        stage(table)
    return flow


FLOWS = {table: make_flow(table) for table in ["rows"]}
