"""A task that runs after a failure is given the exception itself: prefect #4605."""

from runner import Flow, task


class Refused(Exception):
    def __init__(self, reason, *, code):
        super().__init__(reason)
        self.code = code


@task
def fails():
    raise Refused("no", code=7)


@task(trigger="all_finished")
def cleans(error):
    return isinstance(error, Refused), error.code, str(error), type(error).__qualname__


with Flow("given on") as flow:
    cleans(fails())
