"""A named tuple of a type that is given later is an argument and a result: cloudpickle #460."""

from typing import Generic, NamedTuple, TypeVar

from runner import Flow, task

T = TypeVar("T")


class Box(NamedTuple, Generic[T]):
    item: T

    def opened(self) -> T:
        return self.item


@task
def opened(box: Box[int]):
    return box.opened(), Box("a"), Box[int](3)


with Flow("generic named tuple") as flow:
    opened(Box(2))
