"""super(), class methods, static methods and several bases: dill #209."""

from runner import Flow, task


class Base:
    def __init__(self, **more):
        self.made = [*more, "base"]

    @classmethod
    def make(cls):
        return cls(a=1)


class Mixin:
    def __init__(self, **more):
        super().__init__(**more, mixin=1)

    @staticmethod
    def twice(number):
        return 2 * number


class Both(Mixin, Base):
    pass


@task
def made():
    return Both.make().made, Both.twice(2), [each.__name__ for each in Both.__mro__]


with Flow("super and mixins") as flow:
    made()
