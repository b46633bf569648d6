"""A helper that imports the flow's file sees the same classes and state: prefect #5984."""

from runner import Flow, task

SEEN = []


class Row:
    pass


@task
def together():
    import helper

    helper.note("a")
    return isinstance(helper.make(), Row), list(SEEN)


with Flow("helper imports the flow") as flow:
    together()
