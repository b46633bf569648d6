"""A logger that was bound is a constant: loguru #102."""

import io

from loguru import logger

from runner import Flow, task

log = logger.bind(service="shop")
info = log.info


@task
def logged():
    sink = logger.add(text := io.StringIO(), format="{message} {extra}")
    log.info("one")
    info("two")
    logger.remove(sink)
    return text.getvalue()


with Flow("bound logger") as flow:
    logged()
