"""A constant that is read from a file when the flow's is loaded: metaflow #2182."""

import json
from pathlib import Path

from runner import Flow, task

SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text())


@task
def limit():
    return SETTINGS["limit"]


with Flow("read when loaded") as flow:
    limit()
