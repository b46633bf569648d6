"""A function of the flow's file goes to a process pool: prefect #9329."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from runner import Flow, Parameter, task


def square(number):
    return number * number


@task
def squares(method):
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        return list(pool.map(square, range(4)))


with Flow("pool of processes") as flow:
    squares("fork")
