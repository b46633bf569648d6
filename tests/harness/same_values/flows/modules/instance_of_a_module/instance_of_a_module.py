"""An instance that a module makes is the module's own, whoever holds it: dask/distributed #4233."""

from settings import SETTINGS, current

from runner import Flow, task

HELD = [SETTINGS]


@task
def changed():
    SETTINGS.mode = "fast"
    return current().mode, current() is SETTINGS, HELD[0] is SETTINGS


with Flow("instance of a module") as flow:
    changed()
