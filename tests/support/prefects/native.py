"""A flow of runner's, of which a task imports Prefect."""

import logging

from runner import Flow, logger, task


@task
def work() -> int:
    from prefect import get_run_logger

    logging.getLogger("mine").info("said by mine")
    logger().info("said by runner's logger")
    assert callable(get_run_logger)
    return 3


with Flow("Native") as flow:
    work()
