"""An exception without arguments, and one with a __str__ of its own: ray #31806."""

from runner import Flow, task


class NoArguments(Exception):
    def __init__(self):
        super().__init__("there was another one")


class Shown(ValueError):
    def __str__(self):
        return f"shown {self.args[0]}"


@task
def raised():
    raise NoArguments


@task
def caught():
    try:
        raise Shown(3)
    except ValueError as error:
        return error, str(error), type(error) is Shown


with Flow("no arguments") as flow:
    raised()
    caught()
