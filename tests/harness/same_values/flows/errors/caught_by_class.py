"""An exception from a module is caught by the class that the flow's file imported: ray #5862."""

from runner import Flow, task


class Missing(KeyError):
    pass


def find(key):
    raise Missing(key)


@task
def caught():
    try:
        find("a")
    except Missing as error:
        return repr(error), error.__class__.__mro__[1] is KeyError


with Flow("caught by class") as flow:
    caught()
