"""A folder of files that are opened by their names, and a helper that names one beside it: prefect #5684."""

from pathlib import Path

import queries

from runner import Flow, task

SQL = Path(__file__).resolve().parent / "sql"


@task
def read(name):
    return (SQL / f"{name}.sql").read_text(), [each.name for each in SQL.glob("*")], queries.two()


with Flow("folder beside the flow") as flow:
    read("one")
