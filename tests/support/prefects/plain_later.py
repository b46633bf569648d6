"""One flow of Prefect 2 and 3, which logs in every way that they have."""

import logging

from prefect import flow, get_run_logger, task


@task
def work() -> int:
    get_run_logger().info("said by prefect's logger")
    logging.getLogger("mine").info("said by mine")
    return 3


@flow(name="Plain flow", log_prints=True)
def plain() -> int:
    print("printed")
    found: int = work.submit().result()
    return found
