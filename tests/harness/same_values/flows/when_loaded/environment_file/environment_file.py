"""A file of variables beside the flow that is read if it is there: theskumar/python-dotenv #471."""

import os
from pathlib import Path

from runner import Flow, task

FILE = Path(__file__).with_name("settings.env")
if FILE.exists():
    os.environ |= dict(line.split("=") for line in FILE.read_text().splitlines())


@task
def limit():
    return int(os.environ.get("LIMIT_OF_ROWS", "10"))


with Flow("environment file") as flow:
    limit()
