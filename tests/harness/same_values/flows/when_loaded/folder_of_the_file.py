"""A temporary folder that lasts as long as the file's variable: prefect #14433."""

import tempfile
from pathlib import Path

from runner import Flow, task

FOLDER = tempfile.TemporaryDirectory(prefix="etl-")
Path(FOLDER.name, "rows.txt").write_text("1 2")


@task
def told():
    return Path(FOLDER.name, "rows.txt").read_text()


@task
def again(text):
    return text + Path(FOLDER.name, "rows.txt").read_text()


with Flow("folder of the file") as flow:
    again(told())
