"""A registry that is imported by name is that of its module: cloudpickle #275."""

from state import config, find, mode, register, registry, UNSET

from runner import Flow, task


@task
def registered():
    register("a")
    return dict(registry)


@task
def configured():
    config.mode = "fast"
    return mode(), find({}, "x") is UNSET


with Flow("state by name") as flow:
    registered()
    configured()
