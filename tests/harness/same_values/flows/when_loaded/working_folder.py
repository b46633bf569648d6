"""A file goes into a folder of its own when it is loaded: prefect #14433."""

import os
import tempfile
from pathlib import Path

from runner import Flow, task

os.chdir(tempfile.mkdtemp(prefix="etl-"))


@task
def told():
    Path("rows.txt").write_text("1")
    return Path("rows.txt").read_text(), Path.cwd().name.partition("-")[0]


with Flow("working folder") as flow:
    told()
