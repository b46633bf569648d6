"""Classes with slots call their base: attrs #102."""

import attrs

from runner import Flow, task


@attrs.define
class Base:
    x: int

    def f(self):
        return [f"base {self.x}"]


@attrs.define
class Derived(Base):
    y: int = 2

    def f(self):
        return [*super().f(), __class__.__name__]


@task
def called():
    derived = Derived(1)
    return derived.f(), derived, Derived.__slots__, hasattr(derived, "__dict__"), isinstance(derived, Base)


with Flow("slots and super") as flow:
    called()
