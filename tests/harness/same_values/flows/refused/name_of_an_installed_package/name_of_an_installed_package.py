"""An author's idna.py is not replaced by the installed one: prefect #14363."""

import idna  # refused

from runner import Flow, task


@task
def encoded():
    return idna.encode("ä")


with Flow("name of an installed package") as flow:
    encoded()
