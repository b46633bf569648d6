"""A lock, a counter and a queue between processes that the file makes: prefect #10794."""

import multiprocessing

from runner import Flow, task

FORK = multiprocessing.get_context("fork")
COUNT = FORK.Value("i", 0)  # refused
DONE = FORK.Queue()


def count(times):
    for _ in range(times):
        with COUNT.get_lock():
            COUNT.value += 1
    DONE.put(times)


@task
def told():
    processes = [FORK.Process(target=count, args=(50,)) for _ in range(2)]
    [process.start() for process in processes]
    done = [DONE.get(timeout=20) for _ in processes]
    [process.join() for process in processes]
    return done, COUNT.value


with Flow("locks between processes") as flow:
    told()
