"""A metaclass that wants a keyword gets it: cloudpickle #527."""

from runner import Flow, task


class Table(type):
    def __new__(mcs, name, bases, namespace, *, table):
        made = super().__new__(mcs, name, bases, namespace)
        made.table = table
        return made

    def __init__(cls, name, bases, namespace, *, table):
        super().__init__(name, bases, namespace)


class Row(metaclass=Table, table="rows"):
    pass


@task
def table():
    return Row.table, type(Row).__name__


with Flow("metaclass arguments") as flow:
    table()
