"""Decimal contexts that are set when the file is loaded, for threads and for the first one: vyperlang/vyper #5105."""

import decimal
from decimal import DefaultContext, getcontext

from runner import Flow, task

DefaultContext.prec = 6
getcontext().prec = 6
getcontext().rounding = decimal.ROUND_UP


@task
def divided():
    return str(decimal.Decimal(2) / 3), decimal.DefaultContext.prec


with Flow("precision of decimals") as flow:
    divided()
