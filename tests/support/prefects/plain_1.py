"""One flow of Prefect 1, which logs in every way that it has."""

import logging

import prefect
from prefect import Flow, task


@task(log_stdout=True)
def work() -> int:
    """Log and print."""
    prefect.context.get("logger").info("said by prefect's logger")
    logging.getLogger("mine").info("said by mine")
    print("printed")
    return 3


with Flow("Plain flow") as flow:
    work()
