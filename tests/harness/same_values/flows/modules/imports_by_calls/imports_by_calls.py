"""What import_module and __import__ name by a literal is imported: prefect #15352."""

import importlib

from runner import Flow, task


@task
def called():
    return importlib.import_module("acme.plug.one").VALUE


@task
def built_in():
    return __import__("acme.plug.two", fromlist=["VALUE"]).VALUE


with Flow("imports by calls") as flow:
    called(), built_in()
