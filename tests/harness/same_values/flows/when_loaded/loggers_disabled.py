"""Loggers that are there when others are configured are silent: ray-project/ray #37711."""

import logging
import logging.config

from runner import Flow, task

LOG = logging.getLogger("etl")
logging.config.dictConfig({"version": 1, "loggers": {"loud": {"level": "DEBUG"}}})


@task
def told():
    names = ["etl", "loud", "made.later"]
    return LOG.disabled, [(logging.getLogger(name).disabled, logging.getLogger(name).level) for name in names]


with Flow("loggers disabled") as flow:
    told()
