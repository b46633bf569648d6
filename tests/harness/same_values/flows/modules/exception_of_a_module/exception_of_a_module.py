"""A module's exception with an __init__ of its own, caught by its class in another task: metaflow #599."""

from problems import Refused, ask

from runner import Flow, task


@task
def asks():
    return ask()


@task(trigger="all_finished")
def handles(error):
    return isinstance(error, Refused), error.code, str(error)


with Flow("exception of a module") as flow:
    handles(asks())
