"""An exception with an __init__ of its own, as a value and raised: ray #20830."""

from runner import Flow, task


class Refused(Exception):
    def __init__(self, reason, code):
        super().__init__(f"{reason} ({code})")
        self.code = code


GIVEN = Refused("given", 1)


@task
def as_value():
    return str(GIVEN), GIVEN.code


@task
def raised():
    raise Refused("no", code=3)


with Flow("own init") as flow:
    as_value()
    raised()
