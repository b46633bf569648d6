"""A logger with its own processors is a constant: structlog #787."""

import structlog

from runner import Flow, task


def shout(logger, name, event):
    return event | {"event": event["event"].upper(), "level": name}


RENDERED = structlog.processors.JSONRenderer(sort_keys=True)
log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[shout, RENDERED], shop="b")


@task
def rendered():
    with structlog.contextvars.bound_contextvars(request=1):
        merged = structlog.contextvars.merge_contextvars(None, None, {})
    return log.bind(a=1).info("hello"), log.new(b=2).error("no"), merged


with Flow("wrapped logger") as flow:
    rendered()
