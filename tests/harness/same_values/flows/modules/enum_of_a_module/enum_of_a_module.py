"""Members of an enum of a module are the same by every way to them: cloudpickle #244."""

import kinds
from kinds import Kind, default_of

from runner import Flow, task

CHOSEN = Kind.BIG


@task
def chosen():
    return CHOSEN, kinds.TABLE[CHOSEN]


@task
def same(given):
    return given[0] is kinds.Kind.BIG, default_of() is CHOSEN, isinstance(CHOSEN, kinds.Kind)


with Flow("enum of a module") as flow:
    same(chosen())
