"""Data files of a package, by importlib.resources and by __file__: prefect #5684."""

from acme import read

from runner import Flow, task


@task
def texts():
    return read.by_resources(), read.by_file(), read.by_pkgutil()


with Flow("data beside a package") as flow:
    texts()
