"""A class is told to change its fields, and has metadata: attrs #653."""

import attrs

from runner import Flow, task


def numbers(cls, fields):
    return [each.evolve(converter=float) if each.type is float else each for each in fields]


@attrs.define(field_transformer=numbers)
class Row:
    a: float
    b: str = attrs.field(default="x", metadata={"unit": "m"}, on_setattr=attrs.setters.frozen)
    c: list[int] = attrs.Factory(lambda self: [len(self.b)], takes_self=True)


@task
def rowed():
    return Row("1"), dict(attrs.fields(Row).b.metadata), Row(1).c is Row(1).c, attrs.resolve_types(Row) is Row


with Flow("transformed fields") as flow:
    rowed()
