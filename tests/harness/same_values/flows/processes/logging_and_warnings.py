"""Loggers and warning filters of the flow's file: joblib #1591."""

import logging
import warnings

from runner import Flow, task

LOG = logging.getLogger("acme.etl")
LOG.setLevel(logging.DEBUG)


def old():
    warnings.warn("old", DeprecationWarning, stacklevel=2)
    return 1


@task
def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        old()
    return [(str(each.message), each.category.__name__, each.lineno) for each in caught]


@task
def logged():
    return LOG.name, LOG.getEffectiveLevel(), LOG is logging.getLogger("acme.etl"), LOG.isEnabledFor(logging.DEBUG)


with Flow("logging and warnings") as flow:
    logged(), warned()
