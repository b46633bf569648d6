"""A flow that a package's own file defines, whose modules use what that holds: prefect #5984."""

from runner import Flow, task

KNOWN = []

from . import part  # noqa: E402


@task
def known():
    return KNOWN, part.pipeline.KNOWN is KNOWN, __name__, __package__


with Flow("flow of a package") as flow:
    known()
