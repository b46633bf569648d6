"""A result that a task changes is changed for the next one, or for none: dask/distributed #622."""

from runner import Flow, task


@task
def make():
    return {"rows": [1]}


@task
def change(given):
    given["rows"].append(2)
    return given


@task
def look(given, changed):
    return given["rows"], given is changed


with Flow("results are handed on") as flow:
    made = make()
    look(made, change(made))
