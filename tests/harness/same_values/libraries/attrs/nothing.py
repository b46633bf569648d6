"""A field without a default says so with one object: cloudpickle #320."""

import attr
from attr import attrib, attrs

from runner import Flow, task


@attrs
class Foo:
    x = attrib()
    y = attrib(factory=dict)

    @y.validator
    def _is_small(self, attribute, value):
        if len(value) > 1:
            raise ValueError(attribute.name)


@task
def told():
    fields = attr.fields(Foo)
    return fields.x.default is attr.NOTHING, fields.y.default.factory, Foo(1).y, [each.name for each in fields]


@task
def refused():
    return Foo(1, {1: 1, 2: 2})


with Flow("nothing") as flow:
    told()
    refused()
