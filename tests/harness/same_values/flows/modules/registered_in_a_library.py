"""What the flow's file registers in Python's own library when it is loaded: python-pendulum/pendulum #899."""

import codecs
import copyreg
import decimal
import sqlite3

from runner import Flow, task

decimal.getcontext().prec = 5
sqlite3.register_adapter(complex, str)
codecs.register_error("stars", lambda error: ("*", error.end))
copyreg.pickle(range, lambda value: (range, (0,)))


@task
def used():
    with sqlite3.connect(":memory:") as connection:
        [value] = connection.execute("select ?", [1j]).fetchone()
    return value, "aé".encode("ascii", "stars"), len(copyreg.dispatch_table[range](range(3))[1])


with Flow("registered in a library") as flow:
    used()
