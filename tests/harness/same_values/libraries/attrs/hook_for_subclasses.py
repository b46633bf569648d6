"""A hook for subclasses of a class with slots: attrs #269."""

import attr

from runner import Flow, task

KNOWN = []


@attr.s(slots=True)
class Base:
    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        KNOWN.append(cls.__name__)


@attr.s(slots=True)
class Derived(Base):
    x = attr.ib(default=1)


@task
def known():
    return list(KNOWN), Derived()


with Flow("hook for subclasses") as flow:
    known()
