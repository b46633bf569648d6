"""What is imported when the flow's first line runs."""

import sys

from runner import Flow, task


@task
def first() -> list[str]:
    return sorted(sys.modules)


with Flow("modules-seen") as flow:
    first()
