"""Comparison, hash and sorting of own classes: dask #8376."""

from functools import total_ordering

from runner import Flow, task


@total_ordering
class Version:
    def __init__(self, text):
        self.parts = tuple(map(int, text.split(".")))

    def __eq__(self, other):
        return self.parts == other.parts

    def __lt__(self, other):
        return self.parts < other.parts

    def __hash__(self):
        return hash(self.parts)


NEWEST = Version("1.10")


@task
def compared():
    return NEWEST >= Version("1.9"), max([Version("1.2"), NEWEST]) is NEWEST, {NEWEST: 1}[Version("1.10")]


with Flow("total ordering") as flow:
    compared()
