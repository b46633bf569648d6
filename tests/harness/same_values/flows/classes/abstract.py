"""An abstract class with registered ones and abstract properties: cloudpickle #367."""

from abc import ABC, abstractmethod

from runner import Flow, task


class Shape(ABC):
    sides: int

    @property
    @abstractmethod
    def area(self): ...


class Square(Shape):
    area = property(lambda self: 4)


@Shape.register
class Blob:
    pass


@task
def asked():
    try:
        Shape()
    except TypeError as error:
        return str(error), Square().area, isinstance(Blob(), Shape), sorted(Shape.__abstractmethods__)


with Flow("abstract") as flow:
    asked()
