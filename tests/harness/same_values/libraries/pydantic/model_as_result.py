"""A model is a task's result, mapped and stored: prefect #4637."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, HttpUrl

from runner import Flow, task


class State(StrEnum):
    OPEN = "open"


class Order(BaseModel):
    number: int
    sum: Decimal
    at: datetime
    state: State = State.OPEN
    link: HttpUrl = HttpUrl("https://example.com/")


@task
def order(number):
    return Order(number=number, sum="1.50", at=datetime(2026, 1, 1, tzinfo=UTC))


@task
def total(orders):
    return sum(each.sum for each in orders), orders[0].state is State.OPEN, orders[0] == orders[0].model_copy()


with Flow("model as result") as flow:
    total(order.map([1, 2]))
