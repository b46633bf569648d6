"""A ContextVar of the flow's file works in tasks: cloudpickle #387."""

from contextvars import ContextVar, copy_context

from runner import Flow, task

LEVEL = ContextVar("level", default="none")


def level():
    return LEVEL.get()


@task
def levels():
    context = copy_context()
    context.run(LEVEL.set, "high")
    return level(), context.run(level)


with Flow("context var") as flow:
    levels()
