"""A generic model is given types, of the file, too: pydantic #8913."""

from typing import Generic, TypeVar

from pydantic import BaseModel

from runner import Flow, task

T = TypeVar("T")


class Item(BaseModel):
    a: int


class Page(BaseModel, Generic[T]):
    items: list[T]


class Top(BaseModel):
    first: Page[Item]


@task
def paged():
    return Page[Item](items=[{"a": "1"}]), Top(first={"items": [Item(a=2)]}), Page[int] is Page[int]


@task
def typed(pages):
    return pages[0], isinstance(pages[1].first, Page), Page[str](items=["x"]).items


with Flow("generic models") as flow:
    typed(paged())
