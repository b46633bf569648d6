"""A model of the file validates and has its fields: cloudpickle #565."""

from pydantic import BaseModel, Field

from runner import Flow, task


class Order(BaseModel):
    name: str = ""
    amount: int = Field(default=1, gt=0)
    tags: list[str] = []


FIRST = Order(name="first", tags=["a"])


@task
def made():
    return Order(name="bar", amount="2").model_dump(), repr(FIRST), Order.model_json_schema(), list(Order.model_fields)


@task
def copied():
    return FIRST.model_copy(update={"name": "b"}), FIRST.tags is FIRST.model_copy().tags, FIRST.model_fields_set


with Flow("plain model") as flow:
    made()
    copied()
