"""Variables that libraries read are set by the file, from a dictionary of its own: PrefectHQ/prefect #2049."""

import os
from os import environ

from runner import Flow, task

SETTINGS = {"ACME_LEVEL": "ERROR", "ACME_THREADS": str(1 + 1)}
os.environ.update(SETTINGS)
os.environ.setdefault("ACME_LEVEL", "DEBUG")
environ["ACME_BOTH"] = os.environ["ACME_LEVEL"] + environ["ACME_THREADS"]
os.environ.pop("ACME_THREADS")


@task
def told():
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("ACME")}, SETTINGS


with Flow("settings before an import") as flow:
    told()
