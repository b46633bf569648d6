"""A cached function counts its hits: cloudpickle #178."""

from functools import lru_cache

from runner import Flow, task


@lru_cache(maxsize=8)  # refused
def square(number):  # refused
    return number * number


@task
def hits():
    return [square(number) for number in (1, 2, 1)], square.cache_info()


with Flow("lru cache") as flow:
    hits()
