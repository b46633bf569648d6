"""Generic classes, protocols and typed dictionaries: flyte-sdk #1604."""

from typing import Generic, Protocol, TypedDict, TypeVar, runtime_checkable

from runner import Flow, task

T = TypeVar("T")


class Box(Generic[T]):
    def __init__(self, value):
        self.value = value


@runtime_checkable
class Sized(Protocol):
    def size(self) -> int: ...


class Stone:
    def size(self):
        return 1


class Row(TypedDict, total=False):
    day: str


@task
def used():
    return Box[int](3).value, isinstance(Stone(), Sized), isinstance(3, Sized), Row(day="x"), Row.__optional_keys__


with Flow("generics") as flow:
    used()
