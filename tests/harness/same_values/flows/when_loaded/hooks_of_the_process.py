"""Hooks for exceptions, and for how long numbers may be, are set for all of the process: 1200wd/bitcoinlib #423."""

import gc
import sys
import threading

from runner import Flow, task

SEEN = []
sys.excepthook = lambda *found: SEEN.append(found[0].__name__)
threading.excepthook = lambda found: SEEN.append(found.exc_type.__name__)
sys.set_int_max_str_digits(700)
gc.disable()


def fail():
    raise KeyError("no")


@task
def told():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    return SEEN, sys.get_int_max_str_digits(), gc.isenabled(), sys.excepthook is sys.__excepthook__


with Flow("hooks of the process") as flow:
    told()
