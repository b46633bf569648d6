"""Whether garbage is collected when the flow's first line runs, and whether what runner imported counts to it."""

import gc

from runner import Flow, task


@task
def collected() -> tuple[bool, bool]:
    return gc.isenabled(), gc.get_freeze_count() > 10_000


with Flow("garbage") as flow:
    collected()
