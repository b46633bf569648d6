"""The flow's module is loaded again while it runs: uqfoundation/dill #157."""

import importlib
import sys

from runner import Flow, task

TIMES = [*globals().get("TIMES", []), "loaded"]


class Point:
    pass


@task
def told():
    point, module = Point(), sys.modules[Point.__module__]
    importlib.reload(module)
    return isinstance(point, module.Point), len(module.TIMES), module.flow.name


with Flow("module loaded again") as flow:
    told()
