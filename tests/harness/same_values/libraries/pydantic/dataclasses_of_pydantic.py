"""A dataclass of pydantic validates, and keeps what dataclasses tell: ray #39864."""

import dataclasses

from pydantic import TypeAdapter, field_validator
from pydantic.dataclasses import dataclass

from runner import Flow, task


@dataclass(frozen=True, order=True)
class Size:
    width: int
    height: int = 1

    @field_validator("width")
    @classmethod
    def positive(cls, value):
        return abs(value)


@task
def sized():
    return Size("-3"), dataclasses.asdict(Size(1, 2)), [field.name for field in dataclasses.fields(Size)]


@task
def parsed():
    return TypeAdapter(Size).validate_python({"width": 2}) > Size(1), dataclasses.replace(Size(1), height="4")


with Flow("dataclasses of pydantic") as flow:
    sized(), parsed()
