"""A recursion limit and a place to import from, set when the file is loaded: cloudpickle #230."""

import sys

from runner import Flow, task

sys.setrecursionlimit(1234)
sys.path.append("/nowhere-at-all")


def depth(number):
    return number if number == 0 else depth(number - 1)


@task
def told():
    return sys.getrecursionlimit(), "/nowhere-at-all" in sys.path, depth(500)


with Flow("limits when loaded") as flow:
    told()
