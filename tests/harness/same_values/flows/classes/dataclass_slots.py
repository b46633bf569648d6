"""A frozen dataclass with slots is one after the journey: cpython #88165."""

from dataclasses import FrozenInstanceError, dataclass, replace

from runner import Flow, task


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 2


@task
def tried():
    point = Point(x=1)
    try:
        point.x = 2
    except FrozenInstanceError as error:
        return repr(error), hasattr(point, "__dict__"), replace(point, y=5)
    return "changed"


with Flow("dataclass slots") as flow:
    tried()
