"""A function makes a generic model of a type: pydantic #13085."""

from typing import Generic, TypeVar

from pydantic import BaseModel

from runner import Flow, task

T = TypeVar("T")


class Child(BaseModel, Generic[T]):
    value: T


def child_of(kind):
    return Child[kind]


FLOAT = child_of(float)


@task
def made():
    return FLOAT(value="1.5"), child_of(int)(value=2).value


with Flow("generic models of functions") as flow:
    made()
