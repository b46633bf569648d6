"""An instance has bound a logger, whose processors are those of all: structlog #301."""

import structlog
from structlog.testing import capture_logs

from runner import Flow, task

log = structlog.get_logger(service="shop")


class Worker:
    def __init__(self):
        self.log = log.bind(worker=1)


WORKER = Worker()


@task
def logged():
    with capture_logs() as entries:
        WORKER.log.info("three")
    return entries


with Flow("logger bound in a class") as flow:
    logged()
