"""NewType, ParamSpec and aliases of the flow's file: cloudpickle #347."""

from collections.abc import Callable
from typing import NewType, ParamSpec, TypeVar

from runner import Flow, task

UserId = NewType("UserId", int)
P = ParamSpec("P")
R = TypeVar("R", bound=int)
Handler = Callable[P, R]


@task
def used():
    return UserId(3), UserId.__name__, P.__name__, R.__bound__, str(Handler)


with Flow("new type") as flow:
    used()
