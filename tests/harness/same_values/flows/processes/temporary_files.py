"""Temporary files, and what is written into a folder: metaflow #675."""

import json
import tempfile
from pathlib import Path

from runner import Flow, Parameter, task


@task
def table(folder):
    with tempfile.TemporaryDirectory() as inside:
        Path(inside, "a.json").write_text(json.dumps({"b": [1, None, 2.5]}))
        data = Path(inside, "a.json").read_bytes()
    Path(folder, "table.json").write_bytes(data)
    return data, Path(inside).exists()


with Flow("temporary files") as flow:
    table(Parameter("folder"))
