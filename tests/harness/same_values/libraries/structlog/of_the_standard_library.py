"""A logger of the standard library is wrapped: structlog #190."""

import io
import logging

import structlog

from runner import Flow, task

log = structlog.wrap_logger(
    logging.getLogger("shop"),
    processors=[structlog.stdlib.add_log_level, structlog.stdlib.render_to_log_kwargs],
    wrapper_class=structlog.stdlib.BoundLogger,
)


@task
def logged():
    handler = logging.StreamHandler(text := io.StringIO())
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(level)s"))
    log.logger.addHandler(handler) if hasattr(log, "logger") else logging.getLogger("shop").addHandler(handler)
    log.bind(a=1).warning("careful")
    return text.getvalue()


with Flow("of the standard library") as flow:
    logged()
