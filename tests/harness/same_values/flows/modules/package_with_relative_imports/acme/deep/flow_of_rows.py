"""A flow inside a package, with relative imports of its neighbours: prefect #9542."""

from ..rows import Row
from . import more
from .more import double

from runner import Flow, task


@task
def made():
    from .more import LIMIT

    return [Row(double(1)), LIMIT, more.__name__, __package__]


@task
def checked(given):
    import acme

    return given[0] == acme.Row(2), acme.Row is Row


with Flow("package with relative imports") as flow:
    checked(made())
