"""A flow that leaves a file behind when it is loaded in a container."""

from pathlib import Path

from runner import Flow, task

FOLDER = Path("/flows/marked")
if FOLDER.is_dir():
    (FOLDER / "unpickled").touch()


@task
def nothing() -> None:
    pass


with Flow("marked") as flow:
    nothing()
