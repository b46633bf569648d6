"""A dictionary whose keys are of a class that looks into it: cloudpickle #393."""

from typing import NamedTuple

from runner import Flow, task


class Key(NamedTuple):
    name: str

    def price(self):
        return PRICES[self]


PRICES = {Key("x"): 3}


@task
def told():
    return Key("x").price()


with Flow("keys of own classes") as flow:
    told()
