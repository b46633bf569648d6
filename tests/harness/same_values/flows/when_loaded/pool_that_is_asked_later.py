"""A pool of processes, asked for what comes later by functions of the file: prefect #9329."""

import multiprocessing

from runner import Flow, task

STEP = 3


def triple(number):
    return STEP * number


@task
def told():
    with multiprocessing.Pool(2) as pool:
        return [each.get(timeout=20) for each in [pool.apply_async(triple, (number,)) for number in range(3)]]


with Flow("pool that is asked later") as flow:
    told()
