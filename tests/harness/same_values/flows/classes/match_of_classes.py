"""match by class, with attributes and an or: metaflow #355."""

from dataclasses import dataclass
from enum import Enum

from runner import Flow, task


class Op(Enum):
    ADD = "+"
    NEG = "-"


@dataclass
class Node:
    op: Op
    args: tuple


def value(node):
    match node:
        case int() | float():
            return node
        case Node(Op.ADD, (left, right)):
            return value(left) + value(right)
        case Node(op=Op.NEG, args=(one,)):
            return -value(one)


TREE = Node(Op.ADD, (1, Node(Op.NEG, (2.5,))))


@task
def evaluated():
    return value(TREE), TREE


with Flow("match of classes") as flow:
    evaluated()
