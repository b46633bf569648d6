"""Sets of numbers and dictionaries keep the order that they have here: dask #11365."""

from collections import OrderedDict, defaultdict

from runner import Flow, task

NUMBERS = {number * 97 % 1000 for number in range(300)} - set(range(0, 1000, 3))
ORDER = {"b": 1, "a": 2}


@task
def listed():
    return list(NUMBERS), list(ORDER)


@task
def counted():
    counts = defaultdict(list)
    for name in "abca":
        counts[name].append(len(counts))
    return counts, OrderedDict(reversed(ORDER.items()))


with Flow("order of sets") as flow:
    listed()
    counted()
