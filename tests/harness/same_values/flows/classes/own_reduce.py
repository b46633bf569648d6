"""__reduce__, __getstate__ and __new__ with arguments are asked: ray #14172."""

from runner import Flow, task


class Unit:
    known = {}

    def __new__(cls, name):
        return cls.known.setdefault(name, super().__new__(cls))

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return Unit, (self.name,)


METRE = Unit("m")


@task
def asked():
    return METRE is Unit("m"), len(Unit.known), METRE.name


with Flow("own reduce") as flow:
    asked()
