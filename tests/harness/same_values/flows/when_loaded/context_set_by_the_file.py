"""A context variable that is set when the file is loaded: cpython #99246."""

from contextvars import ContextVar

from runner import Flow, task

USER = ContextVar("user", default="nobody")  # refused
USER.set("etl")


@task
def told():
    return USER.get()


with Flow("context set by the file") as flow:
    told()
