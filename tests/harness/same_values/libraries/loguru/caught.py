"""A function whose errors are logged, and a task of it: loguru #399."""

from loguru import logger

from runner import Flow, task


@logger.catch(default=-1)
def divided(number):
    return 1 / number


@task
@logger.catch(reraise=True)
def failing():
    return [][0]


@task
def kept():
    return divided(2), divided(0)


with Flow("caught") as flow:
    kept()
    failing()
