"""NaN, infinities, minus zero and complex numbers come as they went: cloudpickle #115."""

import math
from decimal import Decimal, getcontext
from fractions import Fraction

from runner import Flow, task


@task
def made():
    return [math.nan, -0.0, -math.inf, complex(0.0, -0.0), Decimal("1.10"), Decimal("sNaN"), Fraction(1, 3)]


@task
def checked(given):
    return math.isnan(given[0]), math.copysign(1, given[1]), given[4].as_tuple(), getcontext().prec, given[3]


with Flow("special floats") as flow:
    checked(made())
