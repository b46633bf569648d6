"""Classes in a decorator, nested classes and class-level calls: cloudpickle #328."""

from runner import Flow, task

KNOWN = []


def known(cls):
    KNOWN.append(cls)
    cls.number = len(KNOWN)
    return cls


@known
class Outer:
    @known
    class Inner:
        def outer(self):
            return Outer

    made = Inner()


@task
def told():
    names = [each.__qualname__ for each in KNOWN]
    return names, KNOWN[1] is Outer, Outer.made.outer() is Outer, type(Outer.made) is KNOWN[0], Outer.number


with Flow("class decorators") as flow:
    told()
