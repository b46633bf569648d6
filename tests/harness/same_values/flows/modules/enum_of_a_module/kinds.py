from enum import Enum


class Kind(Enum):
    SMALL = 1
    BIG = 2


TABLE = {Kind.SMALL: "s", Kind.BIG: "b"}


def default_of():
    return Kind.BIG
