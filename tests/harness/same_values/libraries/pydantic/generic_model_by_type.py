"""A generic model of one type is one class, wherever it is named: pydantic #8913."""

from typing import Generic, TypeVar

from pydantic import BaseModel

from runner import Flow, task

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]


class Top(BaseModel):
    first: Page[int]


@task
def typed():
    return type(Top(first={"items": [1]}).first) is Page[int], isinstance(Top(first=Page[int](items=[])), Top)


with Flow("generic model by type") as flow:
    typed()
