"""An initializer, a class and a lambda's absence in a fork server: prefect #2634."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from runner import Flow, task

READY = []


class Job:
    def __init__(self, number):
        self.number = number

    def run(self):
        return READY + [self.number]


def prepare():
    READY.append("ready")


@task
def ran():
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context, prepare) as pool:
        return [pool.submit(Job(number).run).result() for number in (1, 2)]


with Flow("fork server") as flow:
    ran()
