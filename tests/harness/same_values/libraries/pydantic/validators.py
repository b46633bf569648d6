"""Validators of all kinds are called: datachain #1004."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, field_serializer, field_validator

from runner import Flow, task

LIMIT = 10
Even = Annotated[int, BeforeValidator(int), AfterValidator(lambda number: number - number % 2)]


class Span(BaseModel):
    low: Even
    high: int

    @field_validator("high", mode="after")
    @classmethod
    def at_most(cls, value):
        return min(value, LIMIT)

    @field_serializer("low")
    def spelled(self, value):
        return f"{value} m"


@task
def checked():
    return Span(low="3", high=50).model_dump(), Span(low=1, high=2)


with Flow("validators") as flow:
    checked()
