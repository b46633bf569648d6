"""A class that holds itself and instances of itself: apache/beam #18934."""

from runner import Flow, task


class Node:
    kind = None
    all = []

    def __init__(self, name, parent=None):
        self.name, self.parent, self.children = name, parent, []
        Node.all.append(self)
        if parent:
            parent.children.append(self)


Node.kind = Node
ROOT = Node("root")
LEAF = Node("leaf", ROOT)


@task
def asked():
    return (
        Node.kind is Node,
        ROOT.children[0] is LEAF,
        LEAF.parent is ROOT,
        Node.all == [ROOT, LEAF],
        type(ROOT) is Node,
    )


with Flow("self referring class") as flow:
    asked()
