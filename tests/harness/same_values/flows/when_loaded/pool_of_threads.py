"""A pool of threads of the file's, which has worked before: ray-project/ray #17980."""

from concurrent.futures import ThreadPoolExecutor

from runner import Flow, task

POOL = ThreadPoolExecutor(1)  # refused
FIRST = POOL.submit(int, "20").result()


@task
def told():
    return FIRST + POOL.submit(int, "1").result(timeout=5)


with Flow("pool of threads") as flow:
    told()
