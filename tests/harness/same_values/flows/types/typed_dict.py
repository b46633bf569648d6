"""Required keys of typed dictionaries, also inherited: cloudpickle #460."""

from typing import NotRequired, TypedDict, get_type_hints

from runner import Flow, task


class Base(TypedDict):
    day: str


class Row(Base, total=False):
    amount: int
    note: NotRequired[str]


Point = TypedDict("Point", {"x": int, "in": int})


@task
def told():
    keys = sorted(Row.__required_keys__), sorted(Row.__optional_keys__)
    return keys, Row(day="x"), Row.__total__, sorted(get_type_hints(Point)), str(get_type_hints(Base))


with Flow("typed dict") as flow:
    told()
