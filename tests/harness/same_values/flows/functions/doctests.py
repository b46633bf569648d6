"""doctest runs the examples in the flow's file: joblib #52."""

import doctest
import sys

from runner import Flow, task


def double(number):
    """Return twice a number.

    >>> double(2)
    4
    """
    return 2 * number


@task
def tested():
    return tuple(doctest.testmod(sys.modules[__name__]))


with Flow("doctests") as flow:
    tested()
