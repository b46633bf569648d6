"""A flow that looks at what was laid beside it in its image."""

import os
from pathlib import Path

from runner import Flow, task


@task
def look() -> tuple[str | None, list[str]]:
    return os.environ.get("GREETING"), sorted(str(path) for path in Path("/opt/data").rglob("*") if path.is_file())


with Flow("Baked in") as flow:
    look()
