"""A program starts processes anew that call its functions: prefect #6764."""

# run as a script
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from runner import Flow, task

STEP = 3


def triple(number):
    return STEP * number


@task
def told(method):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(triple, range(3)))


with Flow("pool of a program") as flow:
    told("fork")
    told("spawn")
    told("forkserver")
