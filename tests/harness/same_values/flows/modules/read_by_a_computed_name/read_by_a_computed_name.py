"""A constant that is read from a file whose name is computed when the flow's is loaded: metaflow #2182."""

import json
from pathlib import Path

from runner import Flow, task

STAGE = "settings"
SETTINGS = json.loads((Path(__file__).parent / f"{STAGE}.json").read_text())  # refused


@task
def limit():
    return SETTINGS["limit"]


with Flow("read by a computed name") as flow:
    limit()
