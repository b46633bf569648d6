"""A logger of the file, bound in a task and by its name: structlog #301."""

import structlog
from structlog.testing import capture_logs

from runner import Flow, task

log = structlog.get_logger(service="shop")


@task
def logged():
    with capture_logs() as entries:
        log.info("one", count=1)
        log.bind(a=2).warning("two")
        structlog.get_logger().debug("three")
    return entries


with Flow("logger of the file") as flow:
    logged()
