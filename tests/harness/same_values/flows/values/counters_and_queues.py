"""Counters, deques, chain maps, heaps and user's own subclasses of built-in types: dask/distributed #5281."""

import heapq
from collections import ChainMap, Counter, UserDict, deque

from runner import Flow, task


class Table(dict):
    def __missing__(self, key):
        return f"no {key}"


class Names(UserDict):
    def __setitem__(self, key, value):
        super().__setitem__(key.lower(), value)


class Text(str):
    __slots__ = ()


TABLE, NAMES, TEXT = Table(a=1), Names(A=1), Text("x")
RECENT = deque([1, 2, 3], maxlen=2)


@task
def used():
    RECENT.append(4)
    return TABLE["b"], NAMES, TEXT, RECENT, Counter("aab"), ChainMap({"a": 1}, TABLE)["a"], heapq.nsmallest(1, [3, 1])


with Flow("counters and queues") as flow:
    used()
