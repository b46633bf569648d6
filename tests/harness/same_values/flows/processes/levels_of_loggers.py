"""Levels and filters of loggers, its own and those of libraries, that the file sets: dask/distributed #764."""

import logging

from runner import Flow, task

LOG = logging.getLogger("acme")
LOG.setLevel(logging.ERROR)
LOG.addFilter(lambda record: "secret" not in record.msg)
logging.getLogger("urllib3").setLevel("CRITICAL")
logging.getLogger("asyncio").disabled = True
logging.addLevelName(5, "TRACE")
LOG.error("said when it is loaded, and not again")


@task
def told():
    acme = logging.getLogger("acme")
    kept = [bool(acme.filter(logging.makeLogRecord({"msg": msg}))) for msg in ("secret", "plain")]
    others = logging.getLogger("urllib3").level, logging.getLogger("asyncio").disabled
    return acme.level, kept, others, logging.getLevelName(5)


with Flow("levels of loggers") as flow:
    told()
