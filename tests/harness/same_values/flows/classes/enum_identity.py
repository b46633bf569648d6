"""Members of an enum are themselves, also when they went from task to task: cloudpickle #101."""

from enum import Enum, Flag, IntEnum, auto

from runner import Flow, task


class Color(Enum):
    RED = auto()
    GREEN = "g"


class Access(Flag):
    READ = 1
    WRITE = 2


Level = IntEnum("Level", ["LOW", "HIGH"])


@task
def made():
    return [Color.RED, Access.READ | Access.WRITE, Level.HIGH]


@task
def same(given):
    return given[0] is Color.RED, given[1] == Access(3), given[2] is Level(2), Color("g")


with Flow("enum identity") as flow:
    same(made())
