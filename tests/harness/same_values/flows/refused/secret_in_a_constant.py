"""A key that stands in the flow's file: prefect #2747."""

from runner import Flow, task

URL = "postgresql://etl:hunter2hunter2@db.example.com/etl"  # refused


@task
def asked():
    return URL.split("@")[1]  # refused


with Flow("secret in a constant") as flow:
    asked()
