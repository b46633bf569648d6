"""A set whose members hold that set, and are hashed by an attribute: cloudpickle #478."""

from runner import Flow, task

NODES = set()


class Node:
    def __init__(self, name):
        self.name, self.others = name, NODES
        NODES.add(self)

    def __hash__(self):
        return hash(self.name)


FIRST, SECOND = Node("first"), Node("second")


@task
def told():
    return FIRST in NODES, FIRST.others is NODES, sorted(each.name for each in SECOND.others)


with Flow("set that its members hold") as flow:
    told()
