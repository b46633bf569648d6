"""The logger is imported by name, used in functions and classes: loguru #706."""

import io

from loguru import logger

from runner import Flow, task


class Worker:
    log = logger

    def work(self):
        self.log.info("class {}", 1)


@task
def logged():
    sink = logger.add(text := io.StringIO(), format="{level} {function} {message} {extra}")
    logger.bind(a=1).info("task")
    Worker().work()
    logger.remove(sink)
    return text.getvalue(), Worker.log is logger


with Flow("imported logger") as flow:
    logged()
