"""A handler of the flow's file that is registered in a helper by a call: dask/distributed #5561."""

import handlers

from runner import Flow, task

ENDS = {"!": 2}


def upper(text):  # refused
    return text.upper() + "".join(end * count for end, count in ENDS.items())


handlers.register("upper")(upper)


@task
def handled():
    return handlers.handle("upper", "a"), handlers._KNOWN["upper"] is upper


with Flow("registered by a call") as flow:
    handled()
