"""What the file configures holds when its tasks are called: tvm #16715."""

import structlog

from runner import Flow, task


def shout(logger, name, event):
    return event | {"event": event["event"].upper()}


structlog.configure(processors=[shout, structlog.processors.KeyValueRenderer()])


@task
def configured():
    log = structlog.wrap_logger(structlog.ReturnLogger())
    return log.info("hello", a=1)


with Flow("configured by the file") as flow:
    configured()
