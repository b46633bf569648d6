"""Handlers that the flow's file registers in a module by a decorator: ray #40046."""

from handlers import handle, register

from runner import Flow, task


@register("upper")  # refused
def upper(text):
    return text.upper()


@task
def handled():
    return handle("upper", "a"), handle("own", "b")


with Flow("registered by decorator") as flow:
    handled()
