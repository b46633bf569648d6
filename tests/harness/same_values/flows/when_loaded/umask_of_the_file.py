"""The rights of files that are written are set for all of the process: PixarAnimationStudios/OpenUSD #1604."""

import os
import tempfile
from pathlib import Path

from runner import Flow, task

os.umask(0o077)


@task
def told():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rows").write_text("1")
        return oct(Path(folder, "rows").stat().st_mode & 0o777)


with Flow("umask of the file") as flow:
    told()
