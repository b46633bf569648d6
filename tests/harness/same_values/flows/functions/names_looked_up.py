"""globals(), sys.modules and eval find the names of the flow's file: prefect #5984."""

import sys

from runner import Flow, task

LIMIT = 5


def helper():
    return 1


@task
def found():
    names = sorted(name for name in globals() if name in {"LIMIT", "helper", "found", "flow", "sys"})
    return names, eval("LIMIT + helper()"), __name__ in sys.modules, getattr(sys.modules.get(__name__), "LIMIT", None)


with Flow("names looked up") as flow:
    found()
