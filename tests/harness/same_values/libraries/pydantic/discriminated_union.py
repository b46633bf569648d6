"""A field's value says which model it is: pydantic #9245."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from runner import Flow, task


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


PET = TypeAdapter(list[Annotated[Cat | Dog, Field(discriminator="kind")]])


@task
def parsed():
    try:
        PET.validate_python([{"kind": "cow"}])
    except ValidationError as error:
        return PET.validate_json('[{"kind": "cat"}, {"kind": "dog"}]'), error.errors(include_url=False)


with Flow("discriminated union") as flow:
    parsed()
