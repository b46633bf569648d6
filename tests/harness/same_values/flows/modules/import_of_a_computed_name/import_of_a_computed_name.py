"""A module of a computed name is found where include puts it: prefect #15352."""

# build: -i acme/plug
import importlib

from runner import Flow, task


@task
def plugged(name):
    return importlib.import_module("acme.plug." + name).VALUE


with Flow("import of a computed name") as flow:
    plugged("one")
