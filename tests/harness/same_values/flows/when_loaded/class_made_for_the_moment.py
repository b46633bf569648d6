"""A decorator keeps a class, and puts one that is derived from it in its place: pytorch/tensordict #165."""

from functools import wraps

from runner import Flow, task

KNOWN = {}


def register(kind):
    KNOWN[kind.__name__] = kind

    @wraps(kind, updated=())
    class Wrapped(kind):
        wrapped = kind

    return Wrapped


@register
class Row:
    number = 1


@task
def told():
    return KNOWN["Row"] is Row.wrapped, type(Row()) is Row, Row.__name__, [*KNOWN]


with Flow("class made for the moment") as flow:
    told()
