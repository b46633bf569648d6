"""Weak references to objects of the flow's file: cloudpickle #303."""

import weakref

from runner import Flow, task


class Node:  # refused
    cache = weakref.WeakValueDictionary()  # refused

    def __new__(cls, key):
        if key not in cls.cache:
            made = super().__new__(cls)
            cls.cache[key] = made
            return made
        return cls.cache[key]


@task
def cached():
    one = Node("a")
    return Node("a") is one, len(Node.cache)


with Flow("weak references") as flow:
    cached()
