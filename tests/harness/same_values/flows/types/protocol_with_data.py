"""A protocol, checked while it runs, and a class that is generic in two: cloudpickle #572."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from runner import Flow, task


@runtime_checkable
class Named(Protocol):
    name: str

    @abstractmethod
    def show(self) -> str: ...


class Shown(Named):
    name = "shown"

    def show(self):
        return f"<{self.name}>"


class Plain:
    name, show = "plain", lambda self: "plain"


@task
def checked():
    return isinstance(Plain(), Named), isinstance(3, Named), Shown().show(), Named in Shown.__mro__


with Flow("protocol with data") as flow:
    checked()
