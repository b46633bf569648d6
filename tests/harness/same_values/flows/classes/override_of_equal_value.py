"""An attribute that is set again to the same value stays the subclass's own: cloudpickle #584."""

from runner import Flow, task


class Base:
    version = 1


class Sub(Base):
    version = 1


@task
def own():
    Base.version = 2
    return "version" in vars(Sub), Sub.version


with Flow("override of equal value") as flow:
    own()
