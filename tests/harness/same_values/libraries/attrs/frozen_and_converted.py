"""Frozen instances are constants, arguments and results: attrs #79."""

import attrs
from attrs import converters, field, validators

from runner import Flow, task


@attrs.frozen(order=True)
class Price:
    amount: float = field(converter=float, validator=[validators.instance_of(float), validators.ge(0)])
    tags: tuple = field(factory=tuple, converter=tuple, eq=False)
    name: str = field(default=None, converter=converters.optional(str.upper), kw_only=True)


FREE = Price("0", ["a"], name="x")


@task
def changed(price):
    try:
        price.amount = 2
    except attrs.exceptions.FrozenInstanceError as error:
        return attrs.evolve(price, amount=1), type(error), hash(price) == hash(FREE), attrs.asdict(price)


with Flow("frozen and converted") as flow:
    changed(FREE)
