"""A flow that leaves a file behind when it is unpickled."""

from pathlib import Path

from runner import Flow, task


def note() -> str:
    Path("/flows/marked/unpickled").touch()
    return "unpickled"


class Marked:
    def __reduce__(self) -> object:
        return note, ()


@task
def nothing(marked: object) -> None:
    pass


with Flow("marked") as flow:
    nothing(Marked())
