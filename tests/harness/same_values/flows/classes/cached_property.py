"""A cached property is computed once: cloudpickle #438."""

from functools import cached_property

from runner import Flow, task


class Circle:
    counted = 0

    def __init__(self, radius):
        self.radius = radius

    @cached_property
    def area(self):
        Circle.counted += 1
        return 3 * self.radius**2


@task
def area():
    circle = Circle(2)
    return circle.area + circle.area, Circle.counted


with Flow("cached property") as flow:
    area()
