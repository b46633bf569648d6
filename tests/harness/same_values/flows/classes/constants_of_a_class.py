"""A class has instances of itself, which are looked up by what they are: cloudpickle #66."""

from runner import Flow, task


class Unit:
    def __init__(self, name, factor):
        self.name, self.factor = name, factor

    def __hash__(self):
        return hash((self.name, Unit.KILO.factor))

    def label(self):
        return LABELS[self], self in Unit.ALL


Unit.KILO, Unit.MILLI = Unit("kilo", 3), Unit("milli", -3)
Unit.ALL = {Unit.KILO}
LABELS = {Unit.KILO: "k", Unit.MILLI: "m"}


@task
def told(unit):
    return Unit.KILO.label(), Unit.MILLI.label(), unit is Unit.KILO


with Flow("constants of a class") as flow:
    told(Unit.KILO)
