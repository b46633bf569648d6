"""What is called after the module that it is in: prefect #5960."""

# run as a script
import logging

from runner import Flow, task

LOG = logging.getLogger(__name__)
LOG.setLevel("DEBUG")


@task
def told():
    return logging.getLogger(__name__) is LOG, LOG.level


with Flow("name of the program") as flow:
    told()
