"""All warnings are errors once the file is loaded: equinor/ert #1540."""

import warnings

from runner import Flow, task

warnings.simplefilter("error")


@task
def warned():
    warnings.warn("old", DeprecationWarning, stacklevel=1)


@task
def told():
    return [rule[0] for rule in warnings.filters][:1]


with Flow("warnings are errors") as flow:
    told()
    warned()
