"""Levels and sinks that the file adds are there: loguru #386."""

from loguru import logger

from runner import Flow, task

WRITTEN = []
logger.remove()
logger.add(WRITTEN.append, format="{level.no} {message}")
logger.level("SHOP", no=38)


@task
def logged():
    logger.log("SHOP", "sold")
    return [str(message) for message in WRITTEN]


with Flow("configured by the file") as flow:
    logged()
