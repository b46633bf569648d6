"""A connection that is given to a task in the flow's block: prefect #2746."""

import sqlite3

from runner import Flow, task

CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)  # refused


@task
def asked(connection):
    return connection.execute("select 1").fetchone()


with Flow("connection in an argument") as flow:
    asked(CONNECTION)  # refused
