"""The root logger is taken from whoever had it, and writes to a file: prefect #10051."""

import io
import logging

from runner import Flow, task

WRITTEN = io.StringIO()
logging.basicConfig(force=True, level=logging.DEBUG, stream=WRITTEN, format="%(levelname)s %(name)s %(message)s")


@task
def told():
    logging.getLogger("etl").debug("begun")
    return [line for line in WRITTEN.getvalue().splitlines() if " etl " in line], logging.getLogger().level


with Flow("root logger forced") as flow:
    told()
