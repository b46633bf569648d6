"""A sentinel of the standard library, imported by name, keeps its identity: cloudpickle #386."""

import dataclasses
from dataclasses import MISSING, dataclass, field

from runner import Flow, task


@dataclass
class Base:
    number: int


@dataclass
class Sub(Base):
    more: int = 3


@task
def identity():
    return field().default is MISSING, [each.default is MISSING for each in dataclasses.fields(Sub)]


@task
def needs_an_argument():
    return Sub()


with Flow("missing") as flow:
    identity(), needs_an_argument()
