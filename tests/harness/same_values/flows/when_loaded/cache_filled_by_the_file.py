"""A cache that is filled, and an iterator that is begun, when the file is loaded: prefect #9660."""

import itertools
from functools import lru_cache

from runner import Flow, task

CALLS = []
NUMBERS = itertools.count()
FIRST = next(NUMBERS)


@lru_cache
def looked_up(key):
    CALLS.append(key)
    return key.upper()


looked_up("a")


@task
def told():
    looked_up("a"), looked_up("b")
    return CALLS, looked_up.cache_info(), next(NUMBERS), FIRST


with Flow("cache filled by the file") as flow:
    told()
