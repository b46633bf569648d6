"""An instance of a generic class of the file as a result: pydantic #7503."""

from dataclasses import dataclass
from typing import Generic, TypeVar, get_args, get_origin

from runner import Flow, task

T = TypeVar("T")
K = TypeVar("K", str, bytes)


@dataclass
class Page(Generic[T]):
    rows: list[T]


class Texts(Page[str]):
    pass


PAGE = Page[int]


@task
def made():
    return PAGE([1]), Texts(["a"])


@task
def checked(given):
    bases = Texts.__orig_bases__[0]
    same = get_origin(PAGE) is Page, type(given[0]) is Page, T in Page.__parameters__
    return same, get_args(bases), K.__constraints__


with Flow("generic result") as flow:
    checked(made())
