"""A dictionary that is imported by name is an attribute of a class, too: dask/distributed #4233."""

from runner import Flow, task
from shared import CACHE, known


class Loader:
    cache = CACHE

    def load(self, key):
        self.cache[key] = 1


@task
def told():
    Loader().load("a")
    return known(), CACHE


with Flow("container in a class") as flow:
    told()
