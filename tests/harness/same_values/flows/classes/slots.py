"""Slots forbid other attributes: cloudpickle #225."""

from runner import Flow, task


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


@task
def extend():
    point = Point(1, 2)
    try:
        point.z = 3
    except AttributeError as error:
        return str(error), hasattr(point, "__dict__"), point.x
    return "extended"


with Flow("slots") as flow:
    extend()
