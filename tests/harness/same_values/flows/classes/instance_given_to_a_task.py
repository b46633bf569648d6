"""An instance that is an argument in the flow's block is the one of the file: dask/distributed #622."""

from runner import Flow, task


class Store:
    def __init__(self):
        self.rows = []

    def add(self, row):
        self.rows.append(row)
        return len(self.rows)


STORE = Store()


@task
def add(store, row):
    return store.add(row), store is STORE


@task
def count(_):
    return len(STORE.rows), isinstance(STORE, Store)


with Flow("instance given to a task") as flow:
    count(add(STORE, {"a": [1]}))
