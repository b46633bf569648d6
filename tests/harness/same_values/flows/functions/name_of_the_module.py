"""__name__, __doc__, __package__ and __file__ of the flow's file: cloudpickle #251."""

import os

from runner import Flow, task


@task
def named():
    return __name__, __doc__, __package__, os.path.basename(__file__)


with Flow("name of the module") as flow:
    named()
