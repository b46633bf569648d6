"""A helper imports the program, which is there twice then, and fills its registry: cpython #103390."""

# run as a script
from runner import Flow, task

KNOWN = []
import helper  # noqa: E402


@task
def known():
    return KNOWN


with Flow("helper fills the program") as flow:
    known()
