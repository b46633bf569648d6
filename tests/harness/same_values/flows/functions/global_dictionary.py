"""A dictionary of the flow's file is one for all tasks: cloudpickle #452."""

from runner import Flow, task

SEEN = {}
ALIAS = SEEN


@task
def note(name):
    SEEN[name] = len(SEEN)
    return SEEN is ALIAS


@task
def read(_):
    return SEEN, ALIAS is SEEN


with Flow("global dictionary") as flow:
    read(note("a"))
