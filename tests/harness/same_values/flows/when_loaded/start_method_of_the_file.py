"""How processes are started is set when the file is loaded: prefect #17449."""

import multiprocessing

from runner import Flow, task

multiprocessing.set_start_method("spawn", force=True)
GREETING = "hello"


def greet(name, queue):
    queue.put(f"{GREETING} {name}")


@task
def told():
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=greet, args=("Asia", queue))
    process.start()
    said = queue.get(timeout=20)
    process.join()
    return said, multiprocessing.get_start_method()


with Flow("start method of the file") as flow:
    told()
